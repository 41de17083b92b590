//! Profiles in one SQLite file: readers beside one writer.

use std::path::Path;

use async_trait::async_trait;
use chassis::sqlite::{self, Database};
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use token_verifier::Subject;

use super::{ProfileStore, Served, StoreError, UpdateError};
use crate::{
    owner::Owner,
    profile::{Currency, DisplayName, Locale, Profile, Theme, update::Update},
};

/// Profiles in SQLite.
#[derive(Clone, Debug)]
pub(crate) struct SqliteProfileStore {
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

impl SqliteProfileStore {
    /// Opens the file, making it if it is not there, and brings its schema up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        let database = sqlite::open(path).await?;
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
impl ProfileStore for SqliteProfileStore {
    async fn load(&self, owner: &Owner, now: Timestamp) -> Result<Served, StoreError> {
        let mut connection = self.database.readers().acquire().await?;
        if let Some(guest) = owner.guest()
            && is_to_be_merged(&mut connection, guest).await?
        {
            drop(connection);
            return self.load_and_merge(owner, now).await;
        }
        let profile = read(&mut connection, owner.subject()).await?;
        Ok(Served {
            profile,
            is_merged: false,
        })
    }

    async fn update(
        &self,
        owner: &Owner,
        update: Update,
        now: Timestamp,
    ) -> Result<Served, UpdateError> {
        let mut transaction = self.database.write().await.map_err(StoreError::from)?;
        if owner.is_guest() && is_merged(&mut transaction, owner.subject()).await? {
            return Err(UpdateError::GuestMerged);
        }
        let mut served = read_merged(&mut transaction, owner, now).await?;
        update.apply(&mut served.profile);
        save(&mut transaction, owner.subject(), &served.profile, now).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(served)
    }
}

/// Whether the guest has a profile that nobody has taken over yet.
async fn is_to_be_merged(
    connection: &mut SqliteConnection,
    guest: &Subject,
) -> Result<bool, StoreError> {
    let answer: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM profiles WHERE subject = ?1)
            AND NOT EXISTS (SELECT 1 FROM merged_guests WHERE guest_sub = ?1)",
    )
    .bind(guest.as_str())
    .fetch_one(connection)
    .await?;
    Ok(answer)
}

/// Whether somebody has taken over the guest's profile.
async fn is_merged(connection: &mut SqliteConnection, guest: &Subject) -> Result<bool, StoreError> {
    let answer: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM merged_guests WHERE guest_sub = ?1)")
            .bind(guest.as_str())
            .fetch_one(connection)
            .await?;
    Ok(answer)
}

/// The owner's profile, with the guest's in its gaps if there is one to take over.
async fn read_merged(
    transaction: &mut SqliteConnection,
    owner: &Owner,
    now: Timestamp,
) -> Result<Served, StoreError> {
    let mut profile = read(transaction, owner.subject()).await?;
    let Some(guest) = owner.guest() else {
        return Ok(Served {
            profile,
            is_merged: false,
        });
    };
    let is_merged = is_to_be_merged(transaction, guest).await?;
    if is_merged {
        profile.merge(take(transaction, owner.subject(), guest, now).await?);
        save(transaction, owner.subject(), &profile, now).await?;
    }
    Ok(Served { profile, is_merged })
}

/// Takes the guest's profile away and says who has it.
async fn take(
    transaction: &mut SqliteConnection,
    user: &Subject,
    guest: &Subject,
    now: Timestamp,
) -> Result<Profile, StoreError> {
    let profile = read(transaction, guest).await?;
    sqlx::query("INSERT INTO merged_guests (guest_sub, user_sub, merged_at) VALUES (?1, ?2, ?3)")
        .bind(guest.as_str())
        .bind(user.as_str())
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM profiles WHERE subject = ?1")
        .bind(guest.as_str())
        .execute(&mut *transaction)
        .await?;
    Ok(profile)
}

async fn read(connection: &mut SqliteConnection, subject: &Subject) -> Result<Profile, StoreError> {
    let row = sqlx::query(
        "SELECT display_name, theme, locale, currency FROM profiles WHERE subject = ?1",
    )
    .bind(subject.as_str())
    .fetch_optional(connection)
    .await?;
    match row {
        Some(row) => Ok(profile(&row)?),
        None => Ok(Profile::default()),
    }
}

fn profile(row: &SqliteRow) -> Result<Profile, sqlx::Error> {
    Ok(Profile {
        display_name: known(row, "display_name", DisplayName::parse)?,
        theme: known(row, "theme", Theme::parse)?,
        locale: known(row, "locale", Locale::parse)?,
        currency: known(row, "currency", Currency::parse)?,
    })
}

/// A stored value, or nothing if this build does not know it: a later release beside
/// this one may have learnt a new theme, and ISO 4217 drops a currency now and then.
/// Showing a default for a while is better than no profile, and [`save`] keeps what
/// is stored until somebody sets that field.
fn known<T, E>(
    row: &SqliteRow,
    column: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, sqlx::Error> {
    let Some(text) = row.try_get::<Option<&str>, _>(column)? else {
        return Ok(None);
    };
    let value = parse(text).ok();
    if value.is_none() {
        tracing::warn!(
            profile.field = column,
            "a stored value is unknown to this release"
        );
    }
    Ok(value)
}

/// Writes the fields that are set. One that is not keeps what is stored: no field goes
/// back to "never set", so the only such field is one that [`known`] did not know.
async fn save(
    transaction: &mut SqliteConnection,
    subject: &Subject,
    profile: &Profile,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO profiles (subject, display_name, theme, locale, currency, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (subject) DO UPDATE SET
             display_name = coalesce(excluded.display_name, display_name),
             theme = coalesce(excluded.theme, theme),
             locale = coalesce(excluded.locale, locale),
             currency = coalesce(excluded.currency, currency),
             updated_at = excluded.updated_at",
    )
    .bind(subject.as_str())
    .bind(profile.display_name.as_ref().map(DisplayName::as_str))
    .bind(profile.theme.map(Theme::as_str))
    .bind(profile.locale.as_ref().map(Locale::as_str))
    .bind(profile.currency.as_ref().map(Currency::as_str))
    .bind(now.as_millisecond())
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
