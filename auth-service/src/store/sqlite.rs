//! The stores in one SQLite file: the embedded default.
//!
//! Reads go to the reader pool, changes to the single writer in transactions that
//! hold the write lock from their first statement. Rows and SQL stay in here.

mod accounts;
mod limits;
mod operator;
mod revocations;
mod rows;
mod sessions;
mod signing_keys;

use std::path::Path;
use std::sync::Arc;

use chassis::sqlite::{Database, is_unavailable};
use sqlx::migrate::MigrateError;
use tokio::sync::Notify;

#[cfg(test)]
pub(in crate::store) use sessions::FIND_SESSION;

use super::StoreError;

/// The auth service's database.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    database: Database,
    /// Rung after each commit that may have appended to the revocation log.
    appended: Arc<Notify>,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] chassis::sqlite::OpenError),
    /// Its tables cannot be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[from] MigrateError),
}

impl SqliteStore {
    /// Opens, and makes if need be, the database at `path`, with all its tables.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        Self::from_database(chassis::sqlite::open(path).await?).await
    }

    /// Brings an open database's tables up to date.
    pub async fn from_database(database: Database) -> Result<Self, OpenError> {
        database
            .migrate(sqlx::migrate!("migrations/sqlite"))
            .await?;
        Ok(Self {
            database,
            appended: Arc::default(),
        })
    }

    #[cfg(test)]
    pub(crate) fn writer(&self) -> &sqlx::SqlitePool {
        self.database.writer()
    }

    /// Closes it, waiting for what is under way.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

/// Sorts what the driver says: away, unreadable, or our bug.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) {
            Self::Unavailable(error.into())
        } else {
            Self::Internal(error.into())
        }
    }
}

/// Whether a statement hit a unique index on `columns` (`table.column`): SQLite names
/// the columns, not the index.
fn violates_unique(error: &sqlx::Error, columns: &str) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.message().ends_with(columns))
}
