//! One SQLite file the way all services open it: several readers, exactly one
//! writer, and nothing acknowledged that a power cut could take back.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use tokio::time::Instant;

mod file;

/// How long a statement waits for another process's lock. Within this process the
/// writer pool already queues, so only a backup or an operator's shell is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request waits for a connection before it is told 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries to open a file that another program is just making.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Readers block nobody in WAL mode; more of them than cores gains nothing.
const READERS: u32 = 4;

/// What [`open_with`] can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections that only read.
    pub readers: u32,
    /// How long a statement waits for a lock that another process holds.
    pub busy_timeout: Duration,
    /// How long a request waits for a connection of either pool.
    pub acquire_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: READERS,
            busy_timeout: BUSY_TIMEOUT,
            acquire_timeout: ACQUIRE_TIMEOUT,
        }
    }
}

/// An open database. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Database {
    readers: SqlitePool,
    writer: SqlitePool,
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or a directory above it cannot be made or guarded.
    #[error("cannot prepare the database file {path}")]
    File {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite refused it.
    #[error("cannot open the database {path}")]
    Sqlite {
        /// The file in question.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
}

/// Opens, and makes if need be, the database at `path`.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn open(path: &Path) -> Result<Database, OpenError> {
    open_with(path, Options::default()).await
}

/// [`open`] with other than the default options.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn open_with(path: &Path, options: Options) -> Result<Database, OpenError> {
    file::prepare(path).map_err(|source| OpenError::File {
        path: path.to_owned(),
        source,
    })?;
    connect_patiently(path, &options)
        .await
        .map_err(|source| OpenError::Sqlite {
            path: path.to_owned(),
            source,
        })
}

/// Tries until the busy timeout is over. Of several programs that start at once on a new
/// file one turns on WAL; the others are told `SQLITE_BUSY` at once, because SQLite does
/// not wait where it holds a lock that the other might be waiting for.
async fn connect_patiently(path: &Path, options: &Options) -> Result<Database, sqlx::Error> {
    let give_up_at = Instant::now() + options.busy_timeout;
    loop {
        match connect(path, options).await {
            Err(error) if is_busy(&error) && Instant::now() < give_up_at => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

async fn connect(path: &Path, options: &Options) -> Result<Database, sqlx::Error> {
    // The writer first: it turns on WAL, which a read-only connection cannot.
    let writer = pool(1, options)
        .connect_with(connect_options(path, options))
        .await?;
    let read_only = connect_options(path, options).read_only(true);
    let readers = pool(options.readers, options)
        .connect_with(read_only)
        .await?;
    Ok(Database { readers, writer })
}

impl Database {
    /// The pool for `SELECT`. Its connections refuse to write.
    #[must_use]
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The pool of one connection that may write.
    #[must_use]
    pub fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Starts a transaction that holds the write lock from its first moment.
    ///
    /// A deferred transaction that reads first and writes later can fail with
    /// `SQLITE_BUSY` at once, past any timeout, when another process wrote in between.
    ///
    /// # Errors
    ///
    /// As sqlx; see [`is_unavailable`].
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Brings the schema up to date, all migrations in one transaction that holds the
    /// write lock: of two programs that start at once on one file, the second waits and
    /// finds the work done (sqlx itself takes no lock on SQLite).
    ///
    /// # Errors
    ///
    /// When a migration fails, or was changed since it ran. Then nothing has changed.
    pub async fn migrate(&self, mut migrator: Migrator) -> Result<(), MigrateError> {
        // A newer release may have run here before and will again: migrations only widen
        // until no old release is left, so this code runs beside a schema that knows more.
        migrator.set_ignore_missing(true);
        let mut transaction = self.write().await.map_err(MigrateError::Execute)?;
        // Not `run`: its future is not `Send` for a borrowed connection, and `run_direct`
        // is what sqlx's own test runner calls for that reason.
        migrator.run_direct(None, &mut *transaction, false).await?;
        transaction.commit().await.map_err(MigrateError::Execute)
    }

    /// Closes both pools, waiting for connections in use. The writer goes last, so
    /// that it can fold the log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Whether an error means that the store is away (answer 503, keep everything)
/// rather than that our code or a caller is wrong.
#[must_use]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => {
            primary_code(&**error).is_some_and(|code| UNAVAILABLE.contains(&code))
        }
        _ => false,
    }
}

/// Whether somebody else holds the lock that a statement needs.
fn is_busy(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(primary_code)
        .is_some_and(|code| BUSY.contains(&code))
}

fn primary_code(error: &dyn DatabaseError) -> Option<u32> {
    let code: u32 = error.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// `SQLITE_BUSY`, and `SQLITE_PROTOCOL`, which is what a lost race for the WAL's locks
/// comes to.
const BUSY: [u32; 2] = [5, 15];

/// Primary result codes (<https://sqlite.org/rescode.html>) that say something about
/// the disk, memory or another process and nothing about the statement. A damaged
/// file counts too: nobody may be logged out because a disk went bad.
const UNAVAILABLE: [u32; 11] = [
    5,  // SQLITE_BUSY
    6,  // SQLITE_LOCKED
    7,  // SQLITE_NOMEM
    8,  // SQLITE_READONLY: the file system went read-only
    9,  // SQLITE_INTERRUPT
    10, // SQLITE_IOERR
    11, // SQLITE_CORRUPT
    13, // SQLITE_FULL
    14, // SQLITE_CANTOPEN
    15, // SQLITE_PROTOCOL: lost a race for the WAL's locks
    26, // SQLITE_NOTADB
];

fn connect_options(path: &Path, options: &Options) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        // `file::prepare` made it with the right mode; SQLite would use the umask.
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL would lose the last commits at a power cut: a logout that was
        // acknowledged would be undone. FULL costs one fsync per commit.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
}

fn pool(connections: u32, options: &Options) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(options.acquire_timeout)
        // There is no network in between to have died.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

#[cfg(test)]
mod tests;
