//! The suite on SQLite, and what only SQLite can get wrong: locks, transactions that
//! are dropped, other processes, schemas and damaged rows.

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

use super::{OpenError, SqliteCartStore, read_merged};
use crate::{
    cart::{Cart, Change},
    owner::Owner,
    store::{
        CartStore, ChangeError, Served, StoreError,
        tests::{
            ALICE, BOB, GUEST, OTHER_GUEST, add, at, behaviour_suite, cart, owner, put, signed_in,
        },
    },
};

/// A store on a file of its own, which goes away with it.
pub(super) struct Opened {
    pub(super) store: SqliteCartStore,
    directory: TempDir,
}

impl Opened {
    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("cart.db")
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
    let store = SqliteCartStore::open(&directory.path().join("cart.db"))
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
    for table in ["carts", "cart_lines", "merged_guests"] {
        assert_eq!(opened.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn reading_does_not_wait_for_the_writer() {
    let opened = open().await;
    put(&opened.store, &owner(GUEST), &[("a", 1)]).await;
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
async fn rows_of_a_merged_guest_that_come_back_are_not_merged_again() {
    let opened = open().await;
    put(&opened.store, &owner(GUEST), &[("a", 1)]).await;
    opened
        .store
        .load(&signed_in(ALICE, GUEST), at(0))
        .await
        .unwrap();
    // As if somebody had copied rows back from an old backup.
    opened
        .tamper(&format!("INSERT INTO carts VALUES ('{GUEST}', 0)"))
        .await;
    opened
        .tamper(&format!(
            "INSERT INTO cart_lines VALUES ('{GUEST}', 'a', 50, 1)"
        ))
        .await;

    let _held = opened.store.database.write().await.unwrap();
    let served = opened
        .store
        .load(&signed_in(ALICE, GUEST), at(1))
        .await
        .unwrap();
    assert_eq!((served.merged, served.cart), (None, cart(&[("a", 1)])));
}

#[tokio::test]
async fn a_merge_whose_transaction_is_dropped_leaves_everything_as_before() {
    let opened = open().await;
    put(&opened.store, &owner(ALICE), &[("a", 1)]).await;
    put(&opened.store, &owner(GUEST), &[("a", 2), ("b", 3)]).await;

    let mut transaction = opened.store.database.write().await.unwrap();
    let served = read_merged(&mut transaction, &signed_in(ALICE, GUEST), at(5))
        .await
        .unwrap();
    assert_eq!(served.cart, cart(&[("a", 3), ("b", 3)]));
    drop(transaction);

    let alice = opened.store.load(&owner(ALICE), at(6)).await.unwrap();
    let guest = opened.store.load(&owner(GUEST), at(6)).await.unwrap();
    assert_eq!(
        (alice.cart, guest.cart),
        (cart(&[("a", 1)]), cart(&[("a", 2), ("b", 3)]))
    );
    assert_eq!(opened.count("merged_guests").await, 0);
    let served = opened
        .store
        .load(&signed_in(ALICE, GUEST), at(7))
        .await
        .unwrap();
    assert_eq!(
        served.cart,
        cart(&[("a", 3), ("b", 3)]),
        "and the retry merges"
    );
}

#[tokio::test]
async fn a_merge_that_is_abandoned_anywhere_has_happened_or_has_not() {
    for wake_ups in 0..100 {
        let opened = open().await;
        put(&opened.store, &owner(ALICE), &[("a", 1)]).await;
        put(&opened.store, &owner(GUEST), &[("a", 2)]).await;
        let finished = abandon(opened.store.load(&signed_in(ALICE, GUEST), at(1)), wake_ups)
            .await
            .is_some();

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
        let alice = opened.store.load(&owner(ALICE), at(2)).await.unwrap().cart;
        let guest = opened.store.load(&owner(GUEST), at(2)).await.unwrap().cart;
        let before = (cart(&[("a", 1)]), cart(&[("a", 2)]));
        let after = (cart(&[("a", 3)]), Cart::default());
        assert!(
            [before, after].contains(&(alice, guest)),
            "after {wake_ups} wake-ups"
        );
        let retried = opened
            .store
            .load(&signed_in(ALICE, GUEST), at(3))
            .await
            .unwrap();
        assert_eq!(retried.cart, cart(&[("a", 3)]), "after {wake_ups} wake-ups");
        if finished {
            return;
        }
    }
    panic!("a hundred answers were not enough");
}

/// Two programs on one file, sixteen requests at once.
async fn race(opened: &Opened, owners: [Owner; 2]) -> Vec<Served> {
    let replica = SqliteCartStore::open(&opened.path()).await.unwrap();
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
    put(&opened.store, &owner(ALICE), &[("a", 1)]).await;
    put(&opened.store, &owner(GUEST), &[("a", 2), ("b", 3)]).await;

    let alice = signed_in(ALICE, GUEST);
    let answers = race(&opened, [alice.clone(), alice]).await;

    assert_eq!(
        answers
            .iter()
            .filter(|served| served.merged.is_some())
            .count(),
        1
    );
    let merged = cart(&[("a", 3), ("b", 3)]);
    assert!(
        answers.iter().all(|served| served.cart == merged),
        "every answer has it all"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_users_racing_for_a_guest_share_nothing() {
    let opened = open().await;
    put(&opened.store, &owner(GUEST), &[("a", 2)]).await;

    let answers = race(&opened, [signed_in(ALICE, GUEST), signed_in(BOB, GUEST)]).await;

    assert_eq!(
        answers
            .iter()
            .filter(|served| served.merged.is_some())
            .count(),
        1
    );
    let alice = opened.store.load(&owner(ALICE), at(2)).await.unwrap().cart;
    let bob = opened.store.load(&owner(BOB), at(2)).await.unwrap().cart;
    assert_eq!(alice.item_count() + bob.item_count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guest_writing_while_being_merged_loses_nothing_acknowledged() {
    let opened = open().await;
    put(&opened.store, &owner(GUEST), &[("a", 1)]).await;
    let store = Arc::new(opened.store.clone());
    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = Arc::clone(&store);
        writes.spawn(async move { store.change(&owner(GUEST), add("a", 1), at(1)).await });
    }
    let merge = tokio::spawn(async move { store.load(&signed_in(ALICE, GUEST), at(2)).await });

    let mut acknowledged = 1;
    for answer in writes.join_all().await {
        match answer {
            Ok(_) => acknowledged += 1,
            Err(error) => assert!(matches!(error, ChangeError::GuestMerged), "{error:?}"),
        }
    }
    merge.await.unwrap().unwrap();
    let alice = opened
        .store
        .load(&signed_in(ALICE, GUEST), at(3))
        .await
        .unwrap();
    assert_eq!(alice.cart, cart(&[("a", acknowledged)]));
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_restart() {
    let opened = open().await;
    put(&opened.store, &owner(GUEST), &[("b", 1), ("a", 2)]).await;
    let served = opened
        .store
        .load(&signed_in(ALICE, GUEST), at(3))
        .await
        .unwrap();
    opened.store.close().await;

    let reopened = SqliteCartStore::open(&opened.path()).await.unwrap();
    let again = reopened
        .load(&signed_in(ALICE, GUEST), at(4))
        .await
        .unwrap();
    assert_eq!(
        again,
        Served {
            merged: None,
            ..served
        }
    );
    let error = reopened
        .change(&owner(GUEST), add("a", 1), at(5))
        .await
        .unwrap_err();
    assert!(matches!(error, ChangeError::GuestMerged), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn programs_that_start_at_once_migrate_once() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("cart.db");
    // WAL is a property of the file: once it is set, openers do not fight over it.
    sqlite::open(&path).await.unwrap().close().await;
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let path = path.clone();
        opening.spawn(async move { SqliteCartStore::open(&path).await });
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
            "ALTER TABLE carts ADD COLUMN note TEXT NOT NULL DEFAULT '';
             CREATE TABLE vouchers (code TEXT PRIMARY KEY) STRICT;
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from a later release', TRUE, x'00', 0);",
        )
        .await;
    opened.store.close().await;

    let store = SqliteCartStore::open(&opened.path()).await.unwrap();
    put(&store, &owner(GUEST), &[("a", 2)]).await;
    let served = store.load(&signed_in(ALICE, GUEST), at(1)).await.unwrap();
    assert_eq!(served.cart, cart(&[("a", 2)]));
}

#[tokio::test]
async fn refuses_a_file_whose_migrations_were_edited() {
    let opened = open().await;
    opened
        .tamper("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1")
        .await;
    opened.store.close().await;
    let error = SqliteCartStore::open(&opened.path()).await.unwrap_err();
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
        .change(&owner(ALICE), Change::Clear, at(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ChangeError::Store(StoreError::Unavailable(_))),
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
    let impatient = SqliteCartStore {
        database: impatient,
    };

    let held = opened.store.database.write().await.unwrap();
    let error = impatient
        .change(&owner(ALICE), add("a", 1), at(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ChangeError::Store(StoreError::Unavailable(_))),
        "{error:?}"
    );
    drop(held);
    // Its rollback is on its way; taking the lock waits for it.
    opened
        .store
        .database
        .write()
        .await
        .unwrap()
        .rollback()
        .await
        .unwrap();

    impatient
        .change(&owner(ALICE), add("a", 1), at(2))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_schema_that_is_not_ours_is_no_outage() {
    let opened = open().await;
    opened.tamper("DROP TABLE cart_lines").await;
    let error = opened.store.load(&owner(ALICE), at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken(_)), "{error:?}");
}

#[tokio::test]
async fn a_damaged_row_is_told_from_an_outage() {
    for damage in ["('a', 100, 1)", "('A B', 1, 1)", "('', 1, 1)"] {
        let opened = open().await;
        opened
            .tamper(&format!("INSERT INTO carts VALUES ('{ALICE}', 0)"))
            .await;
        let values = damage.trim_start_matches('(');
        opened
            .tamper(&format!(
                "PRAGMA ignore_check_constraints = ON;
                 INSERT INTO cart_lines (subject, sku, quantity, position)
                 VALUES ('{ALICE}', {values};
                 PRAGMA ignore_check_constraints = OFF;"
            ))
            .await;
        let error = opened.store.load(&owner(ALICE), at(1)).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{damage}: {error:?}"
        );
    }
}
