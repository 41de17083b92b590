//! Buckets and known sources.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::SqliteStore;
use crate::limits::{Bucket, BucketKey, Charge, MAX_KNOWN_SOURCES, Verdict};
use crate::store::{LimitStore, StoreError};

#[async_trait]
impl LimitStore for SqliteStore {
    async fn take(&self, charges: &[Charge], now: Timestamp) -> Result<Verdict, StoreError> {
        // A flood is turned away by readers alone: it must not hold the only writer.
        let mut reader = self.database.readers().acquire().await?;
        if let Err(retry_after) = taken(&mut reader, charges, now).await? {
            return Ok(Verdict::Denied { retry_after });
        }
        drop(reader);
        let mut transaction = self.database.write().await?;
        let buckets = match taken(&mut transaction, charges, now).await? {
            Ok(buckets) => buckets,
            Err(retry_after) => return Ok(Verdict::Denied { retry_after }),
        };
        for (charge, bucket) in charges.iter().zip(buckets) {
            save(&mut transaction, &charge.key, bucket).await?;
        }
        transaction.commit().await?;
        Ok(Verdict::Allowed)
    }

    async fn give_back(&self, charges: &[Charge], now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.database.write().await?;
        for charge in charges {
            let bucket = load(&mut transaction, &charge.key, now).await?;
            save(
                &mut transaction,
                &charge.key,
                bucket.give_back(charge.quota, now),
            )
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn is_known_source(
        &self,
        account: &BucketKey,
        source: &BucketKey,
    ) -> Result<bool, StoreError> {
        let known: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM known_sources WHERE account = ? AND source = ?)",
        )
        .bind(account.as_bytes())
        .bind(source.as_bytes())
        .fetch_one(self.database.readers())
        .await?;
        Ok(known == 1)
    }

    async fn remember_source(
        &self,
        account: &BucketKey,
        source: &BucketKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.write().await?;
        sqlx::query(
            "INSERT INTO known_sources (account, source, last_used_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT (account, source) DO UPDATE SET last_used_at = max(last_used_at, ?3)",
        )
        .bind(account.as_bytes())
        .bind(source.as_bytes())
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM known_sources WHERE account = ?1 AND source IN \
                 (SELECT source FROM known_sources WHERE account = ?1 \
                  ORDER BY last_used_at DESC, source LIMIT -1 OFFSET ?2)",
        )
        .bind(account.as_bytes())
        .bind(i64::from(MAX_KNOWN_SOURCES))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn drop_full_buckets(&self, now: Timestamp, at_most: u32) -> Result<u64, StoreError> {
        let dropped = sqlx::query(
            "DELETE FROM limit_buckets WHERE key IN \
                 (SELECT key FROM limit_buckets WHERE full_at <= ? LIMIT ?)",
        )
        .bind(now.as_millisecond())
        .bind(i64::from(at_most))
        .execute(self.database.writer())
        .await?;
        Ok(dropped.rows_affected())
    }
}

/// The buckets with one taken from each, or how long until all have one.
async fn taken(
    connection: &mut SqliteConnection,
    charges: &[Charge],
    now: Timestamp,
) -> Result<Result<Vec<Bucket>, Duration>, StoreError> {
    let mut buckets = Vec::with_capacity(charges.len());
    let mut retry_after = None;
    for charge in charges {
        match load(connection, &charge.key, now)
            .await?
            .take(charge.quota, now)
        {
            Ok(bucket) => buckets.push(bucket),
            Err(wait) => retry_after = retry_after.max(Some(wait)),
        }
    }
    Ok(retry_after.map_or(Ok(buckets), Err))
}

async fn load(
    connection: &mut SqliteConnection,
    key: &BucketKey,
    now: Timestamp,
) -> Result<Bucket, StoreError> {
    let full_at: Option<i64> =
        sqlx::query_scalar("SELECT full_at FROM limit_buckets WHERE key = ?")
            .bind(key.as_bytes())
            .fetch_optional(connection)
            .await?;
    Ok(full_at.map_or_else(|| Bucket::full(now), Bucket::from_millis))
}

async fn save(
    connection: &mut SqliteConnection,
    key: &BucketKey,
    bucket: Bucket,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO limit_buckets (key, full_at) VALUES (?1, ?2) \
         ON CONFLICT (key) DO UPDATE SET full_at = ?2",
    )
    .bind(key.as_bytes())
    .bind(bucket.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}
