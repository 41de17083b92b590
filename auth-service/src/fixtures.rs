//! What the tests of this crate stand on: a real SQLite file in a directory of its
//! own, a clock that tests move, and hashing that is too cheap for anything else.

pub(crate) mod log;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use token_verifier::{Clock as _, ManualClock};

use crate::account::Account;
use crate::accounts::{
    Accounts, AccountsParts, Login, LoginError, OpenedSession, RegisterError, Registration,
};
use crate::entropy::{Entropy, OsEntropy};
use crate::limits::{LimitSettings, Limits};
use crate::password::{HashCost, HashingPool, HashingSettings, Password};
use crate::session::{Client, SessionSecret, SessionTtls};
use crate::sessions::Sessions;
use crate::store::sqlite::SqliteStore;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const HOME: &str = "192.0.2.1";

/// A point in time that is a whole millisecond.
pub(crate) fn start() -> Timestamp {
    "2030-01-01T12:00:00Z".parse().expect("a timestamp")
}

pub(crate) fn at(address: &str) -> Client {
    Client::new(address, "Mozilla/5.0 (X11)")
}

/// Counts up: tests can see what was asked for, and nothing repeats.
#[derive(Default)]
pub(crate) struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            chunk.copy_from_slice(&count.to_be_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) struct World {
    directory: tempfile::TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) store: SqliteStore,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) limits: Limits,
    pub(crate) hashing: HashingPool,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(
            tempfile::tempdir().expect("a directory"),
            HashCost::insecure_for_tests(),
        )
        .await
    }

    async fn with(directory: tempfile::TempDir, cost: HashCost) -> Self {
        let store = SqliteStore::open(&directory.path().join("auth.db"))
            .await
            .expect("opens");
        let clock = ManualClock::at(start());
        let limits = Limits::new(Arc::new(store.clone()), LimitSettings::default());
        let settings = HashingSettings {
            cost,
            permits: NonZeroUsize::new(2).expect("two"),
            queue: 200,
        };
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let hashing = HashingPool::new(settings, Arc::clone(&entropy)).expect("a pool");
        let ttls = SessionTtls::default();
        let accounts = Accounts::new(AccountsParts {
            accounts: Arc::new(store.clone()),
            sessions: Arc::new(store.clone()),
            limits: limits.clone(),
            hashing: hashing.clone(),
            ttls,
            entropy: Arc::clone(&entropy),
            clock: Arc::new(clock.clone()),
        });
        let sessions = Sessions::new(
            Arc::new(store.clone()),
            limits.clone(),
            ttls,
            entropy,
            Arc::new(clock.clone()),
        );
        Self {
            directory,
            clock,
            store,
            accounts,
            sessions,
            limits,
            hashing,
        }
    }

    /// The same files opened again, hashing at `cost` from now on.
    pub(crate) async fn restarted(self, cost: HashCost) -> Self {
        let now = self.clock.now();
        self.store.close().await;
        let world = Self::with(self.directory, cost).await;
        world.clock.set(now);
        world
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.set(self.clock.now() + time);
    }

    /// Every file of the database.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(self.directory.path()).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
            .collect()
    }

    pub(crate) async fn register(&self, email: &str) -> (Account, OpenedSession) {
        self.try_register(email, PASSWORD, None)
            .await
            .expect("registers")
    }

    pub(crate) async fn try_register(
        &self,
        email: &str,
        password: &str,
        current: Option<&SessionSecret>,
    ) -> Result<(Account, OpenedSession), RegisterError> {
        let request = Registration {
            email,
            password: Password::received(password.to_owned()),
            display_name: "Ann",
            current,
            client: at(HOME),
        };
        self.accounts.register(request).await
    }

    pub(crate) async fn login(
        &self,
        email: &str,
        password: &str,
        address: &str,
        current: Option<&SessionSecret>,
    ) -> Result<(Account, OpenedSession), LoginError> {
        let request = Login {
            email,
            password: Password::received(password.to_owned()),
            current,
            client: at(address),
        };
        self.accounts.login(request).await
    }

    /// How many of so many wrong passwords from `address` were looked at.
    pub(crate) async fn wrong_tries(&self, email: &str, address: &str, tries: usize) -> usize {
        let mut refused = 0;
        for _ in 0..tries {
            match self.login(email, "not the password", address, None).await {
                Err(LoginError::Refused) => refused += 1,
                Err(LoginError::TooMany { .. }) => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
        refused
    }

    /// Disables an account and leaves its sessions, so that what looks at the account
    /// itself shows.
    pub(crate) async fn disable(&self, account: &Account) {
        let disabled = sqlx::query("UPDATE accounts SET disabled_at = 1 WHERE subject = ?")
            .bind(account.subject.as_str())
            .execute(self.store.writer())
            .await
            .expect("disables");
        assert_eq!(disabled.rows_affected(), 1);
    }
}
