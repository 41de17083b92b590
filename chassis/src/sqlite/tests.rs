use std::fs;
use std::os::unix::fs::PermissionsExt;

use sqlx::Row;

use super::*;

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/test.db");
    let database = open(&path).await.unwrap();
    create_table(&database).await;
    assert_eq!(mode(&root.path().join("a")), 0o700);
    assert_eq!(mode(&root.path().join("a/b")), 0o700);
    for name in ["test.db", "test.db-wal", "test.db-shm"] {
        assert_eq!(mode(&root.path().join("a/b").join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_open_to_others_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("test.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    open(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn commits_are_durable_and_keys_are_checked() {
    let (_root, database) = temporary().await;
    for pool in [database.readers(), database.writer()] {
        assert_eq!(pragma(pool, "PRAGMA synchronous").await, "2");
        assert_eq!(pragma(pool, "PRAGMA foreign_keys").await, "1");
        assert_eq!(pragma(pool, "PRAGMA journal_mode").await, "wal");
        assert_eq!(pragma(pool, "PRAGMA busy_timeout").await, "2000");
    }
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_root, database) = temporary().await;
    create_table(&database).await;
    let written = sqlx::query("INSERT INTO t VALUES (1)")
        .execute(database.readers())
        .await;
    assert!(written.is_err());
}

#[tokio::test]
async fn readers_see_what_was_committed() {
    let (_root, database) = temporary().await;
    create_table(&database).await;
    let mut transaction = database.write().await.unwrap();
    sqlx::query("INSERT INTO t VALUES (7)")
        .execute(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(
        pragma(database.readers(), "SELECT count(*) FROM t").await,
        "0"
    );
    transaction.commit().await.unwrap();
    assert_eq!(
        pragma(database.readers(), "SELECT count(*) FROM t").await,
        "1"
    );
}

#[tokio::test]
async fn a_lock_held_elsewhere_is_unavailable_not_a_bug() {
    let (root, first) = temporary().await;
    let options = Options {
        busy_timeout: Duration::ZERO,
        ..Options::default()
    };
    let second = open_with(&root.path().join("test.db"), options)
        .await
        .unwrap();
    let _held = first.write().await.unwrap();
    let error = second.write().await.unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
}

#[tokio::test]
async fn a_busy_or_closed_pool_is_unavailable() {
    assert!(is_unavailable(&sqlx::Error::PoolTimedOut));
    let (_root, database) = temporary().await;
    database.close().await;
    let error = database.write().await.unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
}

#[tokio::test]
async fn our_own_mistakes_are_not_unavailability() {
    let (_root, database) = temporary().await;
    create_table(&database).await;
    for statement in [
        "SELEC",
        "INSERT INTO t VALUES (NULL)",
        "SELECT * FROM missing",
    ] {
        let error = sqlx::query(statement)
            .execute(database.writer())
            .await
            .unwrap_err();
        assert!(!is_unavailable(&error), "{error:?}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_unavailable() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("test.db");
    fs::write(
        &path,
        "this is not a database, whatever its name says".repeat(100),
    )
    .unwrap();
    match open(&path).await {
        Err(OpenError::Sqlite { source, .. }) => assert!(is_unavailable(&source), "{source:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_directory_is_refused_with_its_name() {
    let root = tempfile::tempdir().unwrap();
    let error = open(root.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
    assert!(error.to_string().contains(root.path().to_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_start_at_once_on_a_new_file_all_open_it() {
    for _ in 0..40 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new.db");
        let openings: Vec<_> = (0..6)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { open(&path).await })
            })
            .collect();
        for opening in openings {
            opening.await.unwrap().unwrap();
        }
    }
}

async fn temporary() -> (tempfile::TempDir, Database) {
    let root = tempfile::tempdir().unwrap();
    let database = open(&root.path().join("test.db")).await.unwrap();
    (root, database)
}

async fn create_table(database: &Database) {
    let statement = "CREATE TABLE t (n INTEGER NOT NULL)";
    sqlx::query(statement)
        .execute(database.writer())
        .await
        .unwrap();
}

async fn pragma(pool: &SqlitePool, statement: &'static str) -> String {
    let row = sqlx::query(statement).fetch_one(pool).await.unwrap();
    row.try_get::<String, _>(0)
        .or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string()))
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
