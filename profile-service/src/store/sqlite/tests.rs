//! The suite on SQLite, and what only SQLite can get wrong: locks, transactions that
//! are dropped, other processes, schemas and values it does not know.

mod model;

use std::{
    future::{Future, poll_fn},
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use chassis::sqlite;
use sqlx::{AssertSqlSafe, SqlitePool};
use tempfile::TempDir;

use super::{OpenError, SqliteProfileStore, read_merged};
use crate::{
    owner::Owner,
    profile::{Profile, Theme},
    store::{
        ProfileStore, Served, StoreError, UpdateError,
        tests::{
            ALICE, BOB, GUEST, OTHER_GUEST, at, behaviour_suite, owner, profile, put, signed_in,
            update,
        },
    },
};

/// A store on a file of its own, which goes away with it.
pub(super) struct Opened {
    pub(super) store: SqliteProfileStore,
    directory: TempDir,
}

impl Opened {
    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("profile.db")
    }

    fn writer(&self) -> &SqlitePool {
        self.store.database.writer()
    }

    /// Runs what no program would.
    async fn tamper(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(self.writer())
            .await
            .unwrap();
    }

    async fn count(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query_scalar(sql)
            .fetch_one(self.store.database.readers())
            .await
            .unwrap()
    }
}

pub(super) async fn open() -> Opened {
    let directory = TempDir::new().unwrap();
    let store = SqliteProfileStore::open(&directory.path().join("profile.db"))
        .await
        .unwrap();
    Opened { store, directory }
}

/// Drops the future at its so-manieth wake-up, as a server does when the client goes
/// away: nought never starts it, and each step more gets one answer further.
pub(super) async fn abandon<F: Future>(future: F, wake_ups: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = wake_ups;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

mod behaviour {
    use super::{behaviour_suite, open};

    behaviour_suite!(open);
}

#[tokio::test]
async fn reading_makes_no_rows() {
    let opened = open().await;
    for owner in [owner(ALICE), owner(GUEST), signed_in(ALICE, GUEST)] {
        opened.store.load(&owner, at(0)).await.unwrap();
    }
    for table in ["profiles", "merged_guests"] {
        assert_eq!(opened.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn reading_does_not_wait_for_the_writer() {
    let opened = open().await;
    put(&opened.store, GUEST, &[("theme", "dark")]).await;
    opened
        .store
        .load(&signed_in(ALICE, GUEST), at(0))
        .await
        .unwrap();

    let _held = opened.store.database.write().await.unwrap();

    let merged_already = signed_in(ALICE, GUEST);
    let nothing_to_merge = signed_in(ALICE, OTHER_GUEST);
    let taken_by_another = signed_in(BOB, GUEST);
    for owner in [
        owner(ALICE),
        owner(GUEST),
        merged_already,
        nothing_to_merge,
        taken_by_another,
    ] {
        opened
            .store
            .load(&owner, at(1))
            .await
            .expect("no writer needed");
    }
}

#[tokio::test]
async fn a_row_of_a_merged_guest_that_comes_back_is_not_merged_again() {
    let opened = open().await;
    put(&opened.store, GUEST, &[("theme", "dark")]).await;
    opened
        .store
        .load(&signed_in(ALICE, GUEST), at(0))
        .await
        .unwrap();
    // As if somebody had copied a row back from an old backup.
    opened
        .tamper(&format!(
            "INSERT INTO profiles (subject, locale, updated_at) VALUES ('{GUEST}', 'de', 0)"
        ))
        .await;

    let _held = opened.store.database.write().await.unwrap();
    let served = opened
        .store
        .load(&signed_in(ALICE, GUEST), at(1))
        .await
        .unwrap();
    assert_eq!(
        served,
        Served {
            profile: profile(&[("theme", "dark")]),
            is_merged: false
        }
    );
}

#[tokio::test]
async fn a_merge_whose_transaction_is_dropped_leaves_everything_as_before() {
    let opened = open().await;
    put(&opened.store, ALICE, &[("theme", "dark")]).await;
    put(&opened.store, GUEST, &[("locale", "de")]).await;

    let mut transaction = opened.store.database.write().await.unwrap();
    let served = read_merged(&mut transaction, &signed_in(ALICE, GUEST), at(5))
        .await
        .unwrap();
    assert_eq!(
        served.profile,
        profile(&[("theme", "dark"), ("locale", "de")])
    );
    drop(transaction);

    let alice = opened
        .store
        .load(&owner(ALICE), at(6))
        .await
        .unwrap()
        .profile;
    let guest = opened
        .store
        .load(&owner(GUEST), at(6))
        .await
        .unwrap()
        .profile;
    assert_eq!(
        (alice, guest),
        (profile(&[("theme", "dark")]), profile(&[("locale", "de")]))
    );
    assert_eq!(opened.count("merged_guests").await, 0);
    let served = opened
        .store
        .load(&signed_in(ALICE, GUEST), at(7))
        .await
        .unwrap();
    assert!(served.is_merged, "and the retry merges");
}

#[tokio::test]
async fn a_merge_that_is_abandoned_anywhere_has_happened_or_has_not() {
    for wake_ups in 0..100 {
        let opened = open().await;
        put(&opened.store, ALICE, &[("theme", "dark")]).await;
        put(&opened.store, GUEST, &[("locale", "de")]).await;
        let finished = abandon(opened.store.load(&signed_in(ALICE, GUEST), at(1)), wake_ups)
            .await
            .is_some();

        let both = profile(&[("theme", "dark"), ("locale", "de")]);
        // Waits until the abandoned transaction is over.
        opened
            .store
            .database
            .write()
            .await
            .unwrap()
            .rollback()
            .await
            .unwrap();
        let alice = opened
            .store
            .load(&owner(ALICE), at(2))
            .await
            .unwrap()
            .profile;
        let guest = opened
            .store
            .load(&owner(GUEST), at(2))
            .await
            .unwrap()
            .profile;
        let before = (profile(&[("theme", "dark")]), profile(&[("locale", "de")]));
        let after = (both.clone(), Profile::default());
        assert!(
            [before, after].contains(&(alice, guest)),
            "after {wake_ups} wake-ups"
        );
        let retried = opened
            .store
            .load(&signed_in(ALICE, GUEST), at(3))
            .await
            .unwrap();
        assert_eq!(retried.profile, both, "after {wake_ups} wake-ups");
        if finished {
            return;
        }
    }
    panic!("a hundred answers were not enough");
}

/// Two programs on one file, sixteen requests at once.
async fn race(opened: &Opened, owners: [Owner; 2]) -> Vec<Served> {
    let replica = SqliteProfileStore::open(&opened.path()).await.unwrap();
    let stores = [Arc::new(opened.store.clone()), Arc::new(replica)];
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (store, owner) = (
            Arc::clone(&stores[number % 2]),
            owners[number / 2 % 2].clone(),
        );
        tasks.spawn(async move { store.load(&owner, at(1)).await.unwrap() });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_merge_once() {
    let opened = open().await;
    put(&opened.store, ALICE, &[("theme", "dark")]).await;
    put(
        &opened.store,
        GUEST,
        &[("theme", "light"), ("locale", "de")],
    )
    .await;

    let alice = signed_in(ALICE, GUEST);
    let answers = race(&opened, [alice.clone(), alice]).await;

    assert_eq!(answers.iter().filter(|served| served.is_merged).count(), 1);
    let merged = profile(&[("theme", "dark"), ("locale", "de")]);
    assert!(
        answers.iter().all(|served| served.profile == merged),
        "every answer has it all"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_users_racing_for_a_guest_share_nothing() {
    let opened = open().await;
    put(&opened.store, GUEST, &[("theme", "dark")]).await;

    let answers = race(&opened, [signed_in(ALICE, GUEST), signed_in(BOB, GUEST)]).await;

    assert_eq!(answers.iter().filter(|served| served.is_merged).count(), 1);
    let alice = opened
        .store
        .load(&owner(ALICE), at(2))
        .await
        .unwrap()
        .profile;
    let bob = opened.store.load(&owner(BOB), at(2)).await.unwrap().profile;
    assert_ne!(alice.theme.is_some(), bob.theme.is_some());
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_restart() {
    let opened = open().await;
    put(&opened.store, GUEST, &[("theme", "dark")]).await;
    let served = opened
        .store
        .load(&signed_in(ALICE, GUEST), at(3))
        .await
        .unwrap();
    opened.store.close().await;

    let reopened = SqliteProfileStore::open(&opened.path()).await.unwrap();
    let again = reopened
        .load(&signed_in(ALICE, GUEST), at(4))
        .await
        .unwrap();
    assert_eq!(
        again,
        Served {
            is_merged: false,
            ..served
        }
    );
    let error = reopened
        .update(&owner(GUEST), update(&[("theme", "light")]), at(5))
        .await;
    assert!(matches!(error, Err(UpdateError::GuestMerged)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn programs_that_start_at_once_migrate_once() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("profile.db");
    // WAL is a property of the file: once it is set, openers do not fight over it.
    sqlite::open(&path).await.unwrap().close().await;
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let path = path.clone();
        opening.spawn(async move { SqliteProfileStore::open(&path).await });
    }
    for opened in opening.join_all().await {
        opened.unwrap();
    }
}

#[tokio::test]
async fn runs_beside_a_newer_schema() {
    let opened = open().await;
    opened
        .tamper(
            "ALTER TABLE profiles ADD COLUMN pronouns TEXT;
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from a later release', TRUE, x'00', 0);",
        )
        .await;
    opened.store.close().await;

    let store = SqliteProfileStore::open(&opened.path()).await.unwrap();
    put(&store, GUEST, &[("theme", "dark")]).await;
    let served = store.load(&signed_in(ALICE, GUEST), at(1)).await.unwrap();
    assert_eq!(served.profile.theme, Some(Theme::Dark));
}

#[tokio::test]
async fn a_value_of_a_later_release_reads_as_unset_and_is_kept() {
    let opened = open().await;
    opened
        .tamper(&format!(
            "INSERT INTO profiles (subject, theme, currency, updated_at)
             VALUES ('{ALICE}', 'sepia', 'QQQ', 0)"
        ))
        .await;
    assert_eq!(
        opened.store.load(&owner(ALICE), at(1)).await.unwrap(),
        Served::default()
    );

    put(&opened.store, ALICE, &[("currency", "CHF")]).await;

    let (theme, currency): (String, String) =
        sqlx::query_as("SELECT theme, currency FROM profiles")
            .fetch_one(opened.writer())
            .await
            .unwrap();
    assert_eq!((theme.as_str(), currency.as_str()), ("sepia", "CHF"));
}

#[tokio::test]
async fn refuses_a_file_whose_migrations_were_edited() {
    let opened = open().await;
    opened
        .tamper("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1")
        .await;
    opened.store.close().await;
    let error = SqliteProfileStore::open(&opened.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Migrate(_)), "{error:?}");
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable() {
    let opened = open().await;
    opened.store.close().await;
    let error = opened.store.load(&owner(ALICE), at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let error = opened
        .store
        .update(&owner(ALICE), update(&[("theme", "dark")]), at(1))
        .await;
    assert!(
        matches!(error, Err(UpdateError::Store(StoreError::Unavailable(_)))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_lock_that_another_program_holds_is_an_outage_that_passes() {
    let opened = open().await;
    let options = sqlite::Options {
        busy_timeout: Duration::from_millis(1),
        ..sqlite::Options::default()
    };
    let impatient = sqlite::open_with(&opened.path(), options).await.unwrap();
    let impatient = SqliteProfileStore {
        database: impatient,
    };

    let held = opened.store.database.write().await.unwrap();
    let error = impatient
        .update(&owner(ALICE), update(&[("theme", "dark")]), at(1))
        .await;
    assert!(
        matches!(error, Err(UpdateError::Store(StoreError::Unavailable(_)))),
        "{error:?}"
    );
    held.rollback().await.unwrap();

    put(&impatient, ALICE, &[("theme", "dark")]).await;
}

#[tokio::test]
async fn a_schema_that_is_not_ours_is_no_outage() {
    let opened = open().await;
    opened.tamper("DROP TABLE profiles").await;
    let error = opened.store.load(&owner(ALICE), at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken(_)), "{error:?}");
}
