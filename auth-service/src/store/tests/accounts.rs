//! Accounts and signing keys on every store.

use super::*;

on_every_store!(
    an_account_is_found_as_it_was_made,
    an_address_is_taken_once_however_it_is_written,
    a_taken_address_changes_nothing,
    registering_ends_the_session_it_replaces,
    registering_over_a_session_that_is_gone_changes_nothing,
    signing_in_over_a_session_that_is_gone_changes_nothing,
    a_changed_account_is_not_signed_in_to,
    signing_in_sets_the_new_hash,
    a_disabled_account_reads_back_as_such,
    changing_the_password_ends_all_other_sessions,
    of_two_password_changes_one_wins,
    a_password_is_not_changed_without_its_session,
    injection_strings_are_just_strings,
    the_first_active_key_wins,
    keys_are_loaded_oldest_first,
);

async fn an_account_is_found_as_it_was_made(store: &impl Store) {
    let (account, _) = registered(store, "Ann@Example.com").await;
    let email = Email::parse("ann@example.com").unwrap();
    for found in [
        store.find_account_by_email(&email).await.unwrap().unwrap(),
        store.find_account(&account.subject).await.unwrap().unwrap(),
    ] {
        assert_eq!(found.subject, account.subject);
        assert_eq!(found.email.as_typed(), "Ann@Example.com");
        assert_eq!(found.display_name, account.display_name);
        assert_eq!(found.password_hash, account.password_hash);
        assert_eq!((found.created_at, found.disabled_at), (start(), None));
    }
    let nobody = Email::parse("bob@example.com").unwrap();
    assert!(
        store
            .find_account_by_email(&nobody)
            .await
            .unwrap()
            .is_none()
    );
}

async fn an_address_is_taken_once_however_it_is_written(store: &impl Store) {
    registered(store, "ann@example.com").await;
    for variant in ["ann@example.com", "ANN@EXAMPLE.COM", " ａnn@example.com "] {
        let again = account(variant);
        let session = user_session(&again.subject, start());
        assert_eq!(
            store.register(&again, &session).await.unwrap(),
            Registered::EmailTaken
        );
    }
}

async fn a_taken_address_changes_nothing(store: &impl Store) {
    registered(store, "ann@example.com").await;
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    let again = account("ann@example.com");
    let mut session = user_session(&again.subject, start());
    session.replaces = Some(guest.secret_hash);
    assert_eq!(
        store.register(&again, &session).await.unwrap(),
        Registered::EmailTaken
    );
    assert!(
        store
            .find_session(&guest.secret_hash)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store
            .find_session(&session.secret_hash)
            .await
            .unwrap()
            .is_none()
    );
}

async fn registering_ends_the_session_it_replaces(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    let account = account("ann@example.com");
    let mut session = user_session(&account.subject, start());
    session.replaces = Some(guest.secret_hash);
    let ended = vec![guest.session.id];
    assert_eq!(
        store.register(&account, &session).await.unwrap(),
        Registered::Done { ended }
    );
    assert!(
        store
            .find_session(&guest.secret_hash)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .find_session(&session.secret_hash)
            .await
            .unwrap()
            .is_some()
    );
}

async fn registering_over_a_session_that_is_gone_changes_nothing(store: &impl Store) {
    let account = account("ann@example.com");
    let mut session = user_session(&account.subject, start());
    session.replaces = Some(guest_session(start()).secret_hash);
    assert_eq!(
        store.register(&account, &session).await.unwrap(),
        Registered::ReplacedGone
    );
    assert!(
        store
            .find_account(&account.subject)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .find_session(&session.secret_hash)
            .await
            .unwrap()
            .is_none()
    );
}

async fn signing_in_over_a_session_that_is_gone_changes_nothing(store: &impl Store) {
    let (account, _) = registered(store, "ann@example.com").await;
    let mut session = user_session(&account.subject, start());
    session.replaces = Some(guest_session(start()).secret_hash);
    let signed_in = store
        .sign_in(&session, &phc("first"), Some(&phc("second")))
        .await
        .unwrap();
    assert_eq!(signed_in, SignedIn::ReplacedGone);
    assert!(
        store
            .find_session(&session.secret_hash)
            .await
            .unwrap()
            .is_none()
    );
    let found = store.find_account(&account.subject).await.unwrap().unwrap();
    assert_eq!(found.password_hash, phc("first"));
}

async fn a_changed_account_is_not_signed_in_to(store: &impl Store) {
    let (account, _) = registered(store, "ann@example.com").await;
    let session = user_session(&account.subject, start());
    let signed_in = store.sign_in(&session, &phc("stale"), None).await.unwrap();
    assert_eq!(signed_in, SignedIn::AccountChanged);
    assert!(
        store
            .find_session(&session.secret_hash)
            .await
            .unwrap()
            .is_none()
    );

    let nobody = user_session(&super::account("x@y").subject, start());
    let signed_in = store.sign_in(&nobody, &phc("first"), None).await.unwrap();
    assert_eq!(signed_in, SignedIn::AccountChanged);
}

async fn signing_in_sets_the_new_hash(store: &impl Store) {
    let (account, _) = registered(store, "ann@example.com").await;
    let session = user_session(&account.subject, start());
    let signed_in = store
        .sign_in(&session, &phc("first"), Some(&phc("second")))
        .await
        .unwrap();
    assert_eq!(signed_in, SignedIn::Done { ended: vec![] });
    let found = store.find_account(&account.subject).await.unwrap().unwrap();
    assert_eq!(found.password_hash, phc("second"));
}

async fn a_disabled_account_reads_back_as_such(store: &impl Store) {
    let account = Account {
        disabled_at: Some(start()),
        ..account("ann@example.com")
    };
    store
        .register(&account, &user_session(&account.subject, start()))
        .await
        .unwrap();
    let found = store.find_account(&account.subject).await.unwrap().unwrap();
    assert_eq!(found.disabled_at, Some(start()));
    let session = user_session(&account.subject, start());
    let signed_in = store.sign_in(&session, &phc("first"), None).await.unwrap();
    assert_eq!(signed_in, SignedIn::AccountChanged);
}

pub(super) fn change(session: &NewSession, new: &PasswordHash) -> PasswordChange {
    PasswordChange {
        subject: session.session.subject.clone(),
        verified: phc("first"),
        password_hash: new.clone(),
        session: session.session.clone().reauthenticated(start()),
        old_secret: session.secret_hash,
        new_secret: SessionSecret::generate(&OsEntropy).hash(),
    }
}

async fn changing_the_password_ends_all_other_sessions(store: &impl Store) {
    let (account, first) = registered(store, "ann@example.com").await;
    let (_, stranger) = registered(store, "bob@example.com").await;
    let second = user_session(&account.subject, start());
    store.sign_in(&second, &phc("first"), None).await.unwrap();

    let change = change(&first, &phc("second"));
    let changed = store.change_password(&change).await.unwrap();
    assert_eq!(
        changed,
        PasswordChanged::Done {
            ended: vec![second.session.id]
        }
    );
    assert!(
        store
            .find_session(&second.secret_hash)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .find_session(&first.secret_hash)
            .await
            .unwrap()
            .is_none()
    );
    let kept = store
        .find_session(&change.new_secret)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept, change.session);
    assert!(
        store
            .find_session(&stranger.secret_hash)
            .await
            .unwrap()
            .is_some()
    );
}

async fn of_two_password_changes_one_wins(store: &impl Store) {
    let (account, session) = registered(store, "ann@example.com").await;
    let (one, other) = (
        change(&session, &phc("one")),
        change(&session, &phc("other")),
    );
    let (one, other) = tokio::join!(store.change_password(&one), store.change_password(&other));
    let outcomes = [one.unwrap(), other.unwrap()];
    let done = outcomes
        .iter()
        .filter(|o| matches!(o, PasswordChanged::Done { .. }))
        .count();
    assert_eq!(done, 1, "{outcomes:?}");
    assert_eq!(
        store
            .list_sessions(&account.subject, start())
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn a_password_is_not_changed_without_its_session(store: &impl Store) {
    let (account, session) = registered(store, "ann@example.com").await;
    let other = user_session(&account.subject, start());
    store.sign_in(&other, &phc("first"), None).await.unwrap();
    store
        .end_session(&session.secret_hash, start())
        .await
        .unwrap();
    let changed = store
        .change_password(&change(&session, &phc("second")))
        .await
        .unwrap();
    assert_eq!(changed, PasswordChanged::Gone);
    let found = store.find_account(&account.subject).await.unwrap().unwrap();
    assert_eq!(found.password_hash, phc("first"));
    assert!(
        store
            .find_session(&other.secret_hash)
            .await
            .unwrap()
            .is_some()
    );
}

/// ST-02.
async fn injection_strings_are_just_strings(store: &impl Store) {
    for text in [
        "'; DROP TABLE accounts; --",
        "\" OR \"\"=\"",
        "%_[a]*?",
        "${jndi:x}",
        "\\'",
    ] {
        let typed = format!("{}@b.c", text.replace(' ', "+"));
        let mut account = account(&typed);
        account.display_name = DisplayName::parse(text).unwrap();
        let client = crate::session::Client::new("::1", text);
        let ttls = SessionTtls::default();
        let subject = account.subject.clone();
        let session = Session::user(subject, client, None, start(), &ttls, &OsEntropy);
        let new = record(session.clone());
        store.register(&account, &new).await.unwrap();
        let found = store
            .find_account_by_email(&account.email)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.display_name.as_str(), text);
        assert_eq!(
            store.find_session(&new.secret_hash).await.unwrap(),
            Some(session)
        );
    }
}

fn key(kid: &str, age: i64) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: kid.to_owned(),
        algorithm: "EdDSA".to_owned(),
        state: SigningKeyState::Active,
        public_key: vec![7; 32],
        encrypted_private_key: "a.b.c.d.e".to_owned(),
        created_at: Timestamp::from_millisecond(age).unwrap(),
        activated_at: Some(start()),
        retiring_at: None,
    }
}

async fn the_first_active_key_wins(store: &impl Store) {
    let keys: Vec<_> = (0..8).map(|n| key(&format!("kid-{n}"), n)).collect();
    let inserts = keys.iter().map(|key| store.insert_first_active(key));
    let won = futures::future::join_all(inserts).await;
    let won: Vec<bool> = won.into_iter().map(|outcome| outcome.unwrap()).collect();
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let winner = won.iter().position(|won| *won).unwrap();
    assert_eq!(store.load_all().await.unwrap(), [keys[winner].clone()]);
}

async fn keys_are_loaded_oldest_first(store: &impl Store) {
    let upcoming = SigningKeyRecord {
        state: SigningKeyState::Upcoming,
        activated_at: None,
        ..key("new", 9)
    };
    assert!(store.insert_first_active(&key("old", 5)).await.unwrap());
    assert!(store.insert_first_active(&upcoming).await.unwrap());
    let kids: Vec<_> = store
        .load_all()
        .await
        .unwrap()
        .into_iter()
        .map(|key| key.kid)
        .collect();
    assert_eq!(kids, ["old", "new"]);
}
