//! Carts in one SQLite file: readers beside one writer.

use std::{collections::HashSet, error::Error, path::Path};

use async_trait::async_trait;
use chassis::sqlite::{self, Database};
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use token_verifier::Subject;

use super::{CartStore, ChangeError, Served, StoreError};
use crate::{
    cart::{Cart, Change, Leftover, Line, Quantity, Sku},
    owner::Owner,
};

/// Carts in SQLite.
#[derive(Clone, Debug)]
pub(crate) struct SqliteCartStore {
    database: Database,
}

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be made or read.
    #[error("cannot open the database")]
    Open(#[from] sqlite::OpenError),
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl SqliteCartStore {
    /// Opens the file, making it if it is not there, and brings its schema up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        Self::over(sqlite::open(path).await?).await
    }

    async fn over(database: Database) -> Result<Self, OpenError> {
        database
            .migrate(sqlx::migrate!("migrations/sqlite"))
            .await?;
        Ok(Self { database })
    }

    /// Waits for running calls and closes the file.
    pub(crate) async fn close(&self) {
        self.database.close().await;
    }

    async fn load_and_merge(&self, owner: &Owner, now: Timestamp) -> Result<Served, StoreError> {
        let mut transaction = self.database.write().await?;
        let served = read_merged(&mut transaction, owner, now).await?;
        transaction.commit().await?;
        Ok(served)
    }
}

#[async_trait]
impl CartStore for SqliteCartStore {
    async fn load(&self, owner: &Owner, now: Timestamp) -> Result<Served, StoreError> {
        let mut connection = self.database.readers().acquire().await?;
        if let Some(guest) = owner.guest()
            && is_to_be_merged(&mut connection, guest).await?
        {
            drop(connection);
            return self.load_and_merge(owner, now).await;
        }
        read(&mut connection, owner.subject()).await
    }

    async fn change(
        &self,
        owner: &Owner,
        change: Change,
        now: Timestamp,
    ) -> Result<Served, ChangeError> {
        let mut transaction = self.database.write().await.map_err(StoreError::from)?;
        if owner.is_guest() && is_merged(&mut transaction, owner.subject()).await? {
            return Err(ChangeError::GuestMerged);
        }
        let mut served = read_merged(&mut transaction, owner, now).await?;
        let before = served.cart.clone();
        served.cart.apply(change)?;
        save(&mut transaction, owner.subject(), &before, &mut served, now).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(served)
    }
}

/// Whether the guest has a cart that nobody has taken over yet.
async fn is_to_be_merged(
    connection: &mut SqliteConnection,
    guest: &Subject,
) -> Result<bool, StoreError> {
    let answer: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM carts WHERE subject = ?1)
            AND NOT EXISTS (SELECT 1 FROM merged_guests WHERE guest_sub = ?1)",
    )
    .bind(guest.as_str())
    .fetch_one(connection)
    .await?;
    Ok(answer)
}

/// Whether somebody has taken over the guest's cart.
async fn is_merged(connection: &mut SqliteConnection, guest: &Subject) -> Result<bool, StoreError> {
    let answer: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM merged_guests WHERE guest_sub = ?1)")
            .bind(guest.as_str())
            .fetch_one(connection)
            .await?;
    Ok(answer)
}

/// The owner's cart, with the guest's cart in it if there is one to take over.
async fn read_merged(
    transaction: &mut SqliteConnection,
    owner: &Owner,
    now: Timestamp,
) -> Result<Served, StoreError> {
    let mut served = read(transaction, owner.subject()).await?;
    if let Some(guest) = owner.guest()
        && is_to_be_merged(transaction, guest).await?
    {
        let leftover = take_over(transaction, owner.subject(), guest, &mut served, now).await?;
        served.merged = Some(leftover);
    }
    Ok(served)
}

async fn take_over(
    transaction: &mut SqliteConnection,
    user: &Subject,
    guest: &Subject,
    served: &mut Served,
    now: Timestamp,
) -> Result<Leftover, StoreError> {
    let theirs = read(transaction, guest).await?.cart;
    sqlx::query("INSERT INTO merged_guests (guest_sub, user_sub, merged_at) VALUES (?1, ?2, ?3)")
        .bind(guest.as_str())
        .bind(user.as_str())
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
    // The lines go with it: ON DELETE CASCADE.
    sqlx::query("DELETE FROM carts WHERE subject = ?1")
        .bind(guest.as_str())
        .execute(&mut *transaction)
        .await?;
    let before = served.cart.clone();
    let leftover = served.cart.merge(theirs);
    save(transaction, user, &before, served, now).await?;
    Ok(leftover)
}

/// One statement, so that the answer is of one moment without a transaction.
async fn read(connection: &mut SqliteConnection, subject: &Subject) -> Result<Served, StoreError> {
    let rows = sqlx::query(
        "SELECT carts.updated_at, cart_lines.sku, cart_lines.quantity
         FROM carts LEFT JOIN cart_lines ON cart_lines.subject = carts.subject
         WHERE carts.subject = ?1
         ORDER BY cart_lines.position",
    )
    .bind(subject.as_str())
    .fetch_all(connection)
    .await?;
    served(&rows).map_err(|source| StoreError::Damaged {
        subject: subject.as_str().into(),
        source,
    })
}

fn served(rows: &[SqliteRow]) -> Result<Served, Box<dyn Error + Send + Sync>> {
    let Some(first) = rows.first() else {
        return Ok(Served::default());
    };
    let updated_at = Timestamp::from_millisecond(first.try_get("updated_at")?)?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        // An empty cart is one row of the join without a line.
        if let Some(sku) = row.try_get::<Option<&str>, _>("sku")? {
            let quantity = Quantity::new(row.try_get("quantity")?)?;
            lines.push(Line {
                sku: Sku::parse(sku)?,
                quantity,
            });
        }
    }
    Ok(Served {
        cart: Cart::from_lines(lines)?,
        updated_at: Some(updated_at),
        merged: None,
    })
}

/// Writes what differs between `before` and the cart now, and nothing if nothing does.
async fn save(
    transaction: &mut SqliteConnection,
    subject: &Subject,
    before: &Cart,
    served: &mut Served,
    now: Timestamp,
) -> Result<(), StoreError> {
    if served.cart == *before {
        return Ok(());
    }
    let now = now.as_millisecond();
    sqlx::query(
        "INSERT INTO carts (subject, updated_at) VALUES (?1, ?2)
         ON CONFLICT (subject) DO UPDATE SET updated_at = excluded.updated_at",
    )
    .bind(subject.as_str())
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    delete_lines(transaction, subject, before, &served.cart).await?;
    for line in served.cart.lines() {
        if before.quantity_of(&line.sku) != Some(line.quantity) {
            put_line(transaction, subject, line).await?;
        }
    }
    served.updated_at = Timestamp::from_millisecond(now).ok();
    Ok(())
}

async fn delete_lines(
    transaction: &mut SqliteConnection,
    subject: &Subject,
    before: &Cart,
    after: &Cart,
) -> Result<(), StoreError> {
    let kept: HashSet<&Sku> = after.lines().iter().map(|line| &line.sku).collect();
    for line in before
        .lines()
        .iter()
        .filter(|line| !kept.contains(&line.sku))
    {
        sqlx::query("DELETE FROM cart_lines WHERE subject = ?1 AND sku = ?2")
            .bind(subject.as_str())
            .bind(line.sku.as_str())
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// A new line goes to the end; one that is there keeps its place.
async fn put_line(
    transaction: &mut SqliteConnection,
    subject: &Subject,
    line: &Line,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO cart_lines (subject, sku, quantity, position)
         VALUES (?1, ?2, ?3,
                 (SELECT coalesce(max(position), 0) + 1 FROM cart_lines WHERE subject = ?1))
         ON CONFLICT (subject, sku) DO UPDATE SET quantity = excluded.quantity",
    )
    .bind(subject.as_str())
    .bind(line.sku.as_str())
    .bind(i64::from(line.quantity.get()))
    .execute(&mut *transaction)
    .await?;
    Ok(())
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if sqlite::is_unavailable(&error) {
            Self::Unavailable(Box::new(error))
        } else {
            Self::Broken(Box::new(error))
        }
    }
}

#[cfg(test)]
mod tests;
