//! The steps of a key's life: each happens once, or not at all.

use std::time::Duration;

use super::*;
use crate::fixtures::start;
use crate::revocations::RevocationTarget;

const NO_LIMIT: usize = 100;

pub(super) fn key(kid: &str, state: SigningKeyState) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: kid.to_owned(),
        algorithm: "EdDSA".to_owned(),
        state,
        public_key: vec![7; 32],
        encrypted_private_key: format!("jwe of {kid}"),
        created_at: start(),
        activated_at: (state == SigningKeyState::Active).then(start),
        retiring_at: None,
    }
}

fn upcoming(kid: &str) -> SigningKeyRecord {
    key(kid, SigningKeyState::Upcoming)
}

fn active(kid: &str) -> SigningKeyRecord {
    key(kid, SigningKeyState::Active)
}

async fn states(store: &impl Store) -> Vec<(String, SigningKeyState)> {
    let keys = store.load_all().await.unwrap();
    keys.into_iter().map(|key| (key.kid, key.state)).collect()
}

fn expected(states: &[(&str, SigningKeyState)]) -> Vec<(String, SigningKeyState)> {
    let owned = |(kid, state): &(&str, SigningKeyState)| ((*kid).to_owned(), *state);
    states.iter().map(owned).collect()
}

async fn with_first(store: &impl Store) {
    assert!(store.insert_first_active(&active("a")).await.unwrap());
}

async fn with_upcoming(store: &impl Store) {
    with_first(store).await;
    let inserted = store.insert_upcoming(&upcoming("b"), "a", NO_LIMIT).await;
    assert!(inserted.unwrap());
}

async fn one_key_is_the_first(store: &impl Store) {
    with_first(store).await;
    assert!(!store.insert_first_active(&active("b")).await.unwrap());
    assert_eq!(
        states(store).await,
        expected(&[("a", SigningKeyState::Active)])
    );
}

async fn one_key_is_upcoming(store: &impl Store) {
    with_upcoming(store).await;
    let second = store.insert_upcoming(&upcoming("c"), "a", NO_LIMIT).await;
    assert!(!second.unwrap());
    assert_eq!(states(store).await.len(), 2);
}

async fn a_plan_for_a_key_that_signs_no_more_publishes_nothing(store: &impl Store) {
    with_first(store).await;
    let late = store
        .insert_upcoming(&upcoming("b"), "before", NO_LIMIT)
        .await;
    assert!(!late.unwrap());
    let full = store.insert_upcoming(&upcoming("b"), "a", 1).await;
    assert!(!full.unwrap());
    assert_eq!(states(store).await.len(), 1);
}

async fn a_key_takes_over_once(store: &impl Store) {
    with_upcoming(store).await;
    let later = start() + Duration::from_secs(600);
    assert!(store.activate_key("b", Some("a"), later).await.unwrap());
    assert!(!store.activate_key("b", Some("a"), later).await.unwrap());
    let keys = store.load_all().await.unwrap();
    let of = |kid| keys.iter().find(|key| key.kid == kid).unwrap();
    assert_eq!(
        (of("a").state, of("a").retiring_at),
        (SigningKeyState::Retiring, Some(later))
    );
    assert_eq!(
        (of("b").state, of("b").activated_at),
        (SigningKeyState::Active, Some(later))
    );
}

async fn a_take_over_that_does_not_fit_changes_nothing(store: &impl Store) {
    with_upcoming(store).await;
    let before = store.load_all().await.unwrap();
    for (kid, retires) in [
        ("c", Some("a")),
        ("b", Some("c")),
        ("a", Some("b")),
        ("b", None),
    ] {
        let done = store.activate_key(kid, retires, start()).await.unwrap();
        assert!(!done, "{kid} for {retires:?}");
        assert_eq!(store.load_all().await.unwrap(), before);
    }
}

async fn only_a_retiring_key_is_deleted(store: &impl Store) {
    with_upcoming(store).await;
    for kid in ["a", "b", "c"] {
        assert!(!store.delete_retiring(kid).await.unwrap(), "{kid}");
    }
    store.activate_key("b", Some("a"), start()).await.unwrap();
    assert!(store.delete_retiring("a").await.unwrap());
    assert_eq!(
        states(store).await,
        expected(&[("b", SigningKeyState::Active)])
    );
}

async fn a_revoked_key_is_replaced_by_the_upcoming_one(store: &impl Store) {
    with_upcoming(store).await;
    let KeyRevoked::Done { active } = store.revoke_key("a", &active("c"), start()).await.unwrap()
    else {
        panic!("it is there");
    };
    assert_eq!(active.kid, "b");
    assert_eq!(
        states(store).await,
        expected(&[("b", SigningKeyState::Active)])
    );
}

async fn a_revoked_key_without_a_follower_is_replaced_by_a_new_one(store: &impl Store) {
    with_first(store).await;
    let done = store.revoke_key("a", &active("c"), start()).await.unwrap();
    assert_eq!(
        done,
        KeyRevoked::Done {
            active: active("c")
        }
    );
    let log = store.read_after(0, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].target, RevocationTarget::Key("a".to_owned()));
}

async fn revoking_another_key_leaves_the_one_that_signs(store: &impl Store) {
    with_upcoming(store).await;
    let done = store.revoke_key("b", &active("c"), start()).await.unwrap();
    assert_eq!(
        done,
        KeyRevoked::Done {
            active: active("a")
        }
    );
    assert_eq!(states(store).await.len(), 1);
}

async fn revoking_what_is_not_there_changes_nothing(store: &impl Store) {
    with_first(store).await;
    let done = store.revoke_key("b", &active("c"), start()).await.unwrap();
    assert_eq!(done, KeyRevoked::NotFound);
    assert_eq!(states(store).await.len(), 1);
    assert!(store.read_after(0, 10).await.unwrap().is_empty());
}

async fn private_keys_change_all_or_none(store: &impl Store) {
    with_upcoming(store).await;
    let change = |kid: &str, before: &str| Reencrypted {
        kid: kid.to_owned(),
        before: before.to_owned(),
        after: format!("new jwe of {kid}"),
    };
    let before = store.load_all().await.unwrap();
    let stale = [change("a", "jwe of a"), change("b", "another")];
    assert!(!store.reencrypt(&stale).await.unwrap());
    assert_eq!(store.load_all().await.unwrap(), before);

    let fitting = [change("a", "jwe of a"), change("b", "jwe of b")];
    assert!(store.reencrypt(&fitting).await.unwrap());
    for key in store.load_all().await.unwrap() {
        assert_eq!(key.encrypted_private_key, format!("new jwe of {}", key.kid));
    }
}

on_every_store!(
    one_key_is_the_first,
    one_key_is_upcoming,
    a_plan_for_a_key_that_signs_no_more_publishes_nothing,
    a_key_takes_over_once,
    a_take_over_that_does_not_fit_changes_nothing,
    only_a_retiring_key_is_deleted,
    a_revoked_key_is_replaced_by_the_upcoming_one,
    a_revoked_key_without_a_follower_is_replaced_by_a_new_one,
    revoking_another_key_leaves_the_one_that_signs,
    revoking_what_is_not_there_changes_nothing,
    private_keys_change_all_or_none,
);

/// Each of several programs on one file tries every step with a key of its own.
#[tokio::test]
async fn programs_that_want_the_same_step_take_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(SqliteStore::open(&path).await.unwrap());
    }
    with_first(&stores[0]).await;
    let mut signing = "a".to_owned();
    for round in 0..10 {
        let publish = stores.iter().enumerate().map(|(index, store)| {
            let key = upcoming(&format!("{round}-{index}"));
            let signing = &signing;
            async move {
                store
                    .insert_upcoming(&key, signing, NO_LIMIT)
                    .await
                    .unwrap()
            }
        });
        let published = futures::future::join_all(publish).await;
        assert_eq!(published.iter().filter(|done| **done).count(), 1);

        let next = format!("{round}-{}", published.iter().position(|it| *it).unwrap());
        let activate = stores
            .iter()
            .map(|store| store.activate_key(&next, Some(&signing), start()));
        let activated = futures::future::join_all(activate).await;
        assert_eq!(
            activated
                .into_iter()
                .filter(|it| *it.as_ref().unwrap())
                .count(),
            1
        );
        signing = next;
    }
    let keys = states(&stores[1]).await;
    let active = |(_, state): &&(String, SigningKeyState)| *state == SigningKeyState::Active;
    assert_eq!((keys.len(), keys.iter().filter(active).count()), (11, 1));
}

/// A rotation and an emergency at the same moment: whatever comes first, one key signs
/// and it is not the revoked one.
#[tokio::test]
async fn a_take_over_beside_a_revocation_leaves_one_key_that_signs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let one = SqliteStore::open(&path).await.unwrap();
    let two = SqliteStore::open(&path).await.unwrap();
    let mut signing = "a".to_owned();
    with_first(&one).await;
    for round in 0..10 {
        let (next, spare) = (format!("next-{round}"), active(&format!("spare-{round}")));
        let follower = upcoming(&next);
        let publish = one.insert_upcoming(&follower, &signing, NO_LIMIT);
        assert!(publish.await.unwrap());
        let (activated, revoked) = tokio::join!(
            one.activate_key(&next, Some(&signing), start()),
            two.revoke_key(&signing, &spare, start()),
        );
        activated.unwrap();
        let KeyRevoked::Done { active } = revoked.unwrap() else {
            panic!("it is there");
        };
        assert_eq!(active.kid, next);
        let keys = states(&two).await;
        assert_eq!(keys, [(next.clone(), SigningKeyState::Active)]);
        signing = next;
    }
}
