//! What only a SQLite file can be asked.

use std::path::PathBuf;

use super::accounts::change;
use super::*;

#[tokio::test]
async fn sqlite_files_open_again_and_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("auth.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let (account, session) = registered(&store, "ann@example.com").await;
    store.close().await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(
        store
            .find_account(&account.subject)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        store.find_session(&session.secret_hash).await.unwrap(),
        Some(session.session)
    );
}

#[tokio::test]
async fn programs_that_start_together_migrate_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    std::fs::remove_file(&path).unwrap();
    let stores = futures::future::join_all((0..4).map(|_| SqliteStore::open(&path))).await;
    let stores: Vec<_> = stores.into_iter().map(Result::unwrap).collect();
    let (account, _) = registered(&stores[0], "ann@example.com").await;
    for store in &stores {
        assert!(
            store
                .find_account(&account.subject)
                .await
                .unwrap()
                .is_some()
        );
    }
}

/// An old release starts beside what a newer one left, and works.
#[tokio::test]
async fn runs_beside_a_newer_schema() {
    let (directory, store) = sqlite().await;
    let (account, session) = registered(&store, "ann@example.com").await;
    sqlx::raw_sql(
        "ALTER TABLE sessions ADD COLUMN note TEXT NOT NULL DEFAULT '';
         CREATE TABLE later (id TEXT PRIMARY KEY) STRICT;
         INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from a later release', TRUE, x'00', 0);",
    )
    .execute(store.writer())
    .await
    .unwrap();
    store.close().await;

    let store = SqliteStore::open(&directory.path().join("auth.db"))
        .await
        .unwrap();
    let found = store.find_session(&session.secret_hash).await.unwrap();
    assert_eq!(found, Some(session.session));
    let second = user_session(&account.subject, start());
    let done = store.sign_in(&second, &phc("first"), None).await.unwrap();
    assert_eq!(done, SignedIn::Done { ended: vec![] });
}

#[tokio::test]
async fn a_file_whose_migrations_were_edited_is_refused() {
    let (directory, store) = sqlite().await;
    sqlx::raw_sql("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1")
        .execute(store.writer())
        .await
        .unwrap();
    store.close().await;
    let opened = SqliteStore::open(&directory.path().join("auth.db")).await;
    assert!(opened.is_err());
}

/// ST-03: whichever statement of a step fails, nothing of the step remains.
#[tokio::test]
async fn a_step_that_fails_halfway_leaves_nothing() {
    for (operation, message) in [("INSERT", "no insert"), ("DELETE", "no delete")] {
        let (_directory, store) = sqlite().await;
        let (ann, first) = registered(&store, "ann@example.com").await;
        let second = user_session(&ann.subject, start());
        store.sign_in(&second, &phc("first"), None).await.unwrap();
        let guest = guest_session(start());
        store.create_session(&guest).await.unwrap();
        fail_on_sessions(&store, operation, message).await;

        let bob = account("bob@example.com");
        let mut session = user_session(&bob.subject, start());
        session.replaces = Some(guest.secret_hash);
        assert!(matches!(
            store.register(&bob, &session).await,
            Err(StoreError::Internal(_))
        ));
        assert!(store.find_account(&bob.subject).await.unwrap().is_none());

        session = user_session(&ann.subject, start());
        session.replaces = Some(guest.secret_hash);
        let signed_in = store
            .sign_in(&session, &phc("first"), Some(&phc("second")))
            .await;
        assert!(matches!(signed_in, Err(StoreError::Internal(_))));
        assert!(
            store
                .find_session(&guest.secret_hash)
                .await
                .unwrap()
                .is_some()
        );

        if operation == "DELETE" {
            let changed = store.change_password(&change(&first, &phc("second"))).await;
            assert!(matches!(changed, Err(StoreError::Internal(_))));
        }
        let found = store.find_account(&ann.subject).await.unwrap().unwrap();
        assert_eq!(found.password_hash, phc("first"));
        for session in [&first, &second] {
            assert!(
                store
                    .find_session(&session.secret_hash)
                    .await
                    .unwrap()
                    .is_some()
            );
        }
    }
}

async fn fail_on_sessions(store: &SqliteStore, operation: &str, message: &str) {
    let trigger = format!(
        "CREATE TRIGGER fails BEFORE {operation} ON sessions \
         BEGIN SELECT RAISE(ABORT, '{message}'); END"
    );
    let trigger = sqlx::query(sqlx::AssertSqlSafe(trigger));
    trigger.execute(store.writer()).await.unwrap();
}

/// FT-01: a store that is away says so; it does not say "not found".
#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let (_directory, store) = sqlite().await;
    let (account, session) = registered(&store, "ann@example.com").await;
    store.close().await;
    let found = store.find_session(&session.secret_hash).await;
    assert!(
        matches!(found, Err(StoreError::Unavailable(_))),
        "{found:?}"
    );
    let found = store.find_account(&account.subject).await;
    assert!(
        matches!(found, Err(StoreError::Unavailable(_))),
        "{found:?}"
    );
    let ended = store.end_session(&session.secret_hash, start()).await;
    assert!(
        matches!(ended, Err(StoreError::Unavailable(_))),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_row_that_nobody_wrote_is_corrupt() {
    let (_directory, store) = sqlite().await;
    let (account, _) = registered(&store, "ann@example.com").await;
    sqlx::query("UPDATE accounts SET password_hash = 'plain'")
        .execute(store.writer())
        .await
        .unwrap();
    let found = store.find_account(&account.subject).await;
    assert!(
        matches!(
            found,
            Err(StoreError::Corrupt {
                table: "accounts",
                ..
            })
        ),
        "{found:?}"
    );
}

/// The exchange reads two tables, each by an index.
#[tokio::test]
async fn finding_a_session_scans_nothing() {
    let (_directory, store) = sqlite().await;
    let explain = format!("EXPLAIN QUERY PLAN {}", crate::store::sqlite::FIND_SESSION);
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .bind([0u8; 32].as_slice())
        .fetch_all(store.writer())
        .await
        .unwrap();
    let searches = ["SEARCH sessions USING PRIMARY KEY", "SEARCH accounts USING"];
    let steps = plan.iter().filter(|step| !step.3.contains("SUBQUERY"));
    for (step, search) in steps.zip(searches) {
        assert!(step.3.starts_with(search), "{plan:?}");
    }
    assert!(!plan.iter().any(|step| step.3.contains("SCAN")), "{plan:?}");
}

/// If what ends a session cannot be written to the log, the session does not end.
#[tokio::test]
async fn a_failing_append_ends_no_session() {
    let (_directory, store) = sqlite().await;
    let (ann, first) = registered(&store, "ann@example.com").await;
    let second = user_session(&ann.subject, start());
    store.sign_in(&second, &phc("first"), None).await.unwrap();
    let trigger = "CREATE TRIGGER fails BEFORE INSERT ON revocations \
                   BEGIN SELECT RAISE(ABORT, 'no append'); END";
    sqlx::query(trigger).execute(store.writer()).await.unwrap();

    let (secret, id) = (&first.secret_hash, first.session.id);
    let mut third = user_session(&ann.subject, start());
    third.replaces = Some(first.secret_hash);
    let last_day = first.session.expires_at;
    let results = [
        store.end_session(secret, start()).await.err(),
        store.sign_out(secret, start()).await.err(),
        store.end_session_of(&ann.subject, id, start()).await.err(),
        store
            .end_other_sessions(&ann.subject, id, start())
            .await
            .err(),
        store.end_expired_sessions(last_day, 10).await.err(),
        store.sign_in(&third, &phc("first"), None).await.err(),
        store
            .change_password(&change(&first, &phc("second")))
            .await
            .err(),
        store.revoke_session(id, start()).await.err(),
        store.revoke_subject(&ann.subject, start()).await.err(),
        store.disable_account(&ann.subject, start()).await.err(),
    ];
    for (index, error) in results.iter().enumerate() {
        assert!(matches!(error, Some(StoreError::Internal(_))), "{index}");
    }
    for session in [&first, &second] {
        let found = store.find_session(&session.secret_hash).await.unwrap();
        assert_eq!(found.as_ref(), Some(&session.session));
    }
    let found = store.find_account(&ann.subject).await.unwrap().unwrap();
    assert_eq!(found.disabled_at, None);
    assert_eq!(store.head().await.unwrap().seq, 0);
}

#[tokio::test]
async fn a_log_keeps_its_name_and_another_database_has_another() {
    let (directory, store) = sqlite().await;
    let log_id = store.head().await.unwrap().log_id;
    store.close().await;
    let store = SqliteStore::open(&directory.path().join("auth.db"))
        .await
        .unwrap();
    assert_eq!(store.head().await.unwrap().log_id, log_id);
    let (_directory, other) = sqlite().await;
    assert_ne!(other.head().await.unwrap().log_id, log_id);
}

/// Whoever disables an account by hand, in SQL, ends no session; but none is of use.
#[tokio::test]
async fn no_session_of_a_disabled_account_is_found() {
    let (_directory, store) = sqlite().await;
    let (_, session) = registered(&store, "ann@example.com").await;
    sqlx::query("UPDATE accounts SET disabled_at = 1")
        .execute(store.writer())
        .await
        .unwrap();
    let found = store.find_session(&session.secret_hash).await.unwrap();
    assert_eq!(found, None);
}
