//! What every store promises, as one suite: `behaviour_suite!` runs it on a store.

use jiff::Timestamp;

use super::{ProfileStore, Served, UpdateError};
use crate::{
    owner::Owner,
    profile::{
        Profile, Theme,
        update::{UncheckedValues, Update},
    },
};

pub(crate) const ALICE: &str = "usr_018f4e2a-7b1c-7d3e-8f40-00000000000a";
pub(crate) const BOB: &str = "usr_018f4e2a-7b1c-7d3e-8f40-00000000000b";
pub(crate) const GUEST: &str = "gst_018f4e2a-7b1c-7d3e-8f40-000000000001";
pub(crate) const OTHER_GUEST: &str = "gst_018f4e2a-7b1c-7d3e-8f40-000000000002";

/// Makes a module of tests: every case of the suite on a store from `$open`, which
/// gives a guard that has a `store`.
macro_rules! behaviour_suite {
    ($open:path) => {
        behaviour_suite!($open:
            a_profile_that_was_never_written_is_unset,
            profiles_are_kept_by_owner,
            an_update_keeps_the_other_fields,
            a_merge_fills_the_gaps,
            a_merge_happens_once,
            an_update_merges_and_wins,
            a_merged_guest_reads_defaults_and_may_not_write,
            a_merged_guest_belongs_to_one_user_for_good,
            a_guest_with_nothing_is_not_marked,
            a_second_guest_fills_what_is_left,
        );
    };
    ($open:path: $($case:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let opened = $open().await;
                $crate::store::tests::$case(&opened.store).await;
            }
        )+
    };
}
pub(crate) use behaviour_suite;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn owner(subject: &str) -> Owner {
    Owner::for_test(subject, None).unwrap()
}

pub(crate) fn signed_in(user: &str, guest: &str) -> Owner {
    Owner::for_test(user, Some(guest)).unwrap()
}

/// An update of the fields that are named here.
pub(crate) fn update(fields: &[(&str, &str)]) -> Update {
    let value = |name| {
        fields
            .iter()
            .find(|(field, _)| *field == name)
            .map_or("", |field| field.1)
    };
    let values = UncheckedValues {
        display_name: value("display_name"),
        theme: value("theme"),
        locale: value("locale"),
        currency: value("currency"),
    };
    Update::read(fields.iter().map(|(field, _)| *field), values).unwrap()
}

/// A profile with these fields set and no others.
pub(crate) fn profile(fields: &[(&str, &str)]) -> Profile {
    let mut profile = Profile::default();
    if !fields.is_empty() {
        update(fields).apply(&mut profile);
    }
    profile
}

pub(crate) async fn put(store: &dyn ProfileStore, subject: &str, fields: &[(&str, &str)]) {
    store
        .update(&owner(subject), update(fields), at(0))
        .await
        .unwrap();
}

async fn load(store: &dyn ProfileStore, owner: &Owner) -> Served {
    store.load(owner, at(1_000)).await.unwrap()
}

async fn check(store: &dyn ProfileStore, subject: &str, expected: &[(&str, &str)]) {
    assert_eq!(
        load(store, &owner(subject)).await.profile,
        profile(expected),
        "{subject}"
    );
}

pub(crate) async fn a_profile_that_was_never_written_is_unset(store: &dyn ProfileStore) {
    assert_eq!(load(store, &owner(ALICE)).await, Served::default());
    assert_eq!(load(store, &owner(GUEST)).await, Served::default());
    assert_eq!(
        load(store, &signed_in(ALICE, GUEST)).await,
        Served::default()
    );
}

pub(crate) async fn profiles_are_kept_by_owner(store: &dyn ProfileStore) {
    put(store, ALICE, &[("theme", "dark")]).await;
    put(store, BOB, &[("theme", "light")]).await;
    put(store, GUEST, &[("currency", "CHF")]).await;
    check(store, ALICE, &[("theme", "dark")]).await;
    check(store, BOB, &[("theme", "light")]).await;
    check(store, GUEST, &[("currency", "CHF")]).await;
}

pub(crate) async fn an_update_keeps_the_other_fields(store: &dyn ProfileStore) {
    put(store, ALICE, &[("theme", "dark"), ("locale", "de")]).await;
    put(
        store,
        ALICE,
        &[("display_name", "Alice"), ("locale", "fr-CH")],
    )
    .await;
    let expected = [
        ("theme", "dark"),
        ("display_name", "Alice"),
        ("locale", "fr-CH"),
    ];
    check(store, ALICE, &expected).await;
}

pub(crate) async fn a_merge_fills_the_gaps(store: &dyn ProfileStore) {
    put(
        store,
        ALICE,
        &[("theme", "system"), ("display_name", "Alice")],
    )
    .await;
    put(
        store,
        GUEST,
        &[("theme", "dark"), ("locale", "de"), ("currency", "CHF")],
    )
    .await;

    let served = load(store, &signed_in(ALICE, GUEST)).await;

    let expected = [
        ("theme", "system"),
        ("display_name", "Alice"),
        ("locale", "de"),
        ("currency", "CHF"),
    ];
    assert_eq!(
        served,
        Served {
            profile: profile(&expected),
            is_merged: true
        }
    );
    check(store, ALICE, &expected).await;
    check(store, GUEST, &[]).await;
}

pub(crate) async fn a_merge_happens_once(store: &dyn ProfileStore) {
    put(store, GUEST, &[("theme", "dark")]).await;
    let alice = signed_in(ALICE, GUEST);
    assert!(load(store, &alice).await.is_merged);
    for _ in 0..3 {
        let again = load(store, &alice).await;
        assert_eq!(
            again,
            Served {
                profile: profile(&[("theme", "dark")]),
                is_merged: false
            }
        );
    }
    let updated = store
        .update(&alice, update(&[("locale", "de")]), at(2))
        .await
        .unwrap();
    assert!(!updated.is_merged);
}

pub(crate) async fn an_update_merges_and_wins(store: &dyn ProfileStore) {
    put(store, GUEST, &[("theme", "dark"), ("currency", "CHF")]).await;
    let alice = signed_in(ALICE, GUEST);
    let served = store
        .update(&alice, update(&[("theme", "light")]), at(2))
        .await
        .unwrap();
    assert!(served.is_merged);
    assert_eq!(
        served.profile,
        profile(&[("theme", "light"), ("currency", "CHF")])
    );
    check(store, ALICE, &[("theme", "light"), ("currency", "CHF")]).await;
    check(store, GUEST, &[]).await;
}

pub(crate) async fn a_merged_guest_reads_defaults_and_may_not_write(store: &dyn ProfileStore) {
    put(store, GUEST, &[("theme", "dark")]).await;
    load(store, &signed_in(ALICE, GUEST)).await;

    assert_eq!(load(store, &owner(GUEST)).await, Served::default());
    let error = store
        .update(&owner(GUEST), update(&[("theme", "light")]), at(3))
        .await;
    assert!(matches!(error, Err(UpdateError::GuestMerged)), "{error:?}");
    let alice = load(store, &signed_in(ALICE, GUEST)).await;
    assert_eq!(alice.profile.theme, Some(Theme::Dark));
}

pub(crate) async fn a_merged_guest_belongs_to_one_user_for_good(store: &dyn ProfileStore) {
    put(store, GUEST, &[("theme", "dark")]).await;
    load(store, &signed_in(ALICE, GUEST)).await;
    assert_eq!(load(store, &signed_in(BOB, GUEST)).await, Served::default());
    let bob = store
        .update(&signed_in(BOB, GUEST), update(&[("locale", "de")]), at(3))
        .await;
    assert_eq!(
        bob.unwrap(),
        Served {
            profile: profile(&[("locale", "de")]),
            is_merged: false
        }
    );
}

pub(crate) async fn a_guest_with_nothing_is_not_marked(store: &dyn ProfileStore) {
    let alice = signed_in(ALICE, GUEST);
    assert!(!load(store, &alice).await.is_merged);
    // The guest's last request was still on its way when the person signed in.
    put(store, GUEST, &[("theme", "dark")]).await;
    assert_eq!(
        load(store, &alice).await.profile.theme,
        Some(Theme::Dark),
        "nothing is lost"
    );
}

pub(crate) async fn a_second_guest_fills_what_is_left(store: &dyn ProfileStore) {
    put(store, GUEST, &[("theme", "dark")]).await;
    put(store, OTHER_GUEST, &[("theme", "light"), ("locale", "de")]).await;
    load(store, &signed_in(ALICE, GUEST)).await;
    let served = load(store, &signed_in(ALICE, OTHER_GUEST)).await;
    assert_eq!(
        served.profile,
        profile(&[("theme", "dark"), ("locale", "de")])
    );
}
