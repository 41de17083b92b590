//! The behaviour suite: what every implementation of the traits must do.
//!
//! Each case takes the store it runs on; `on_every_store!` names the stores.

mod accounts;
mod model;
mod revocations;
mod sessions;
mod signing_keys;
mod sqlite_only;

use jiff::Timestamp;
use token_verifier::Subject;

use super::sqlite::SqliteStore;
use super::*;
use crate::account::DisplayName;
use crate::entropy::OsEntropy;
use crate::fixtures::{at, start};
use crate::session::{SessionSecret, SessionTtls};

/// All traits at once.
pub(super) trait Store:
    AccountStore + SessionStore + SigningKeyStore + RevocationLog + OperatorStore
{
}
impl<T: AccountStore + SessionStore + SigningKeyStore + RevocationLog + OperatorStore> Store for T {}

macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        mod sqlite_does {$(
            #[tokio::test]
            async fn $case() {
                let (_directory, store) = $crate::store::tests::sqlite().await;
                super::$case(&store).await;
            }
        )*}
    };
}
pub(super) use on_every_store;

pub(super) async fn sqlite() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("auth.db"))
        .await
        .unwrap();
    (directory, store)
}

/// A hash that reads like a real one; stores do not verify passwords.
pub(super) fn phc(name: &str) -> PasswordHash {
    use base64::Engine as _;
    let name = base64::engine::general_purpose::STANDARD_NO_PAD.encode(format!("{name:_<16}"));
    PasswordHash::parse(&format!(
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY${name}"
    ))
    .unwrap()
}

pub(super) fn account(email: &str) -> Account {
    Account::new(
        Email::parse(email).unwrap(),
        DisplayName::parse("Ann").unwrap(),
        phc("first"),
        start(),
        &OsEntropy,
    )
}

pub(super) fn user_session(subject: &Subject, now: Timestamp) -> NewSession {
    record(Session::user(
        subject.clone(),
        at("::1"),
        None,
        now,
        &SessionTtls::default(),
        &OsEntropy,
    ))
}

pub(super) fn guest_session(now: Timestamp) -> NewSession {
    record(Session::guest(
        at("192.0.2.1"),
        now,
        &SessionTtls::default(),
        &OsEntropy,
    ))
}

fn record(session: Session) -> NewSession {
    let secret_hash = SessionSecret::generate(&OsEntropy).hash();
    NewSession {
        session,
        secret_hash,
        replaces: None,
    }
}

/// An account and its first session, in the store.
pub(super) async fn registered(store: &impl Store, email: &str) -> (Account, NewSession) {
    let account = account(email);
    let session = user_session(&account.subject, start());
    let done = store.register(&account, &session).await.unwrap();
    assert_eq!(done, Registered::Done { ended: vec![] });
    (account, session)
}
