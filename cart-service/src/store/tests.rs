//! What every store promises, as one suite: `behaviour_suite!` runs it on a store.

use jiff::Timestamp;

use super::{CartStore, ChangeError, Served};
use crate::{
    cart::{Cart, CartError, Change, Leftover, Line, Quantity, Sku},
    owner::Owner,
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
            a_cart_that_was_never_written_is_empty,
            carts_are_kept_by_owner,
            lines_keep_the_order_of_first_adding,
            updated_at_is_the_last_change,
            a_change_that_changes_nothing_leaves_no_trace,
            a_refused_change_changes_nothing,
            a_merge_moves_the_guests_cart,
            a_merge_happens_once,
            a_write_merges_too,
            a_refused_write_does_not_merge,
            a_merge_caps_lines_and_says_what_it_left_out,
            a_merged_guest_reads_an_empty_cart_and_may_not_write,
            a_merged_guest_belongs_to_one_user_for_good,
            a_guest_with_nothing_is_not_marked,
            a_guest_with_an_emptied_cart_is_closed,
            a_second_guest_merges_after_the_first,
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

pub(crate) fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

pub(crate) fn line(sku_text: &str, pieces: i64) -> Line {
    Line {
        sku: sku(sku_text),
        quantity: Quantity::new(pieces).unwrap(),
    }
}

pub(crate) fn add(sku_text: &str, pieces: i64) -> Change {
    Change::Add(line(sku_text, pieces))
}

pub(crate) fn cart(lines: &[(&str, i64)]) -> Cart {
    Cart::from_lines(lines.iter().map(|(sku, pieces)| line(sku, *pieces))).unwrap()
}

pub(crate) async fn put(store: &dyn CartStore, owner: &Owner, lines: &[(&str, i64)]) {
    for (sku, pieces) in lines {
        store.change(owner, add(sku, *pieces), at(0)).await.unwrap();
    }
}

async fn load(store: &dyn CartStore, owner: &Owner) -> Served {
    store.load(owner, at(1_000)).await.unwrap()
}

async fn check_cart(store: &dyn CartStore, subject: &str, expected: &[(&str, i64)]) {
    assert_eq!(
        load(store, &owner(subject)).await.cart,
        cart(expected),
        "{subject}"
    );
}

pub(crate) async fn a_cart_that_was_never_written_is_empty(store: &dyn CartStore) {
    assert_eq!(load(store, &owner(ALICE)).await, Served::default());
    assert_eq!(load(store, &owner(GUEST)).await, Served::default());
    assert_eq!(
        load(store, &signed_in(ALICE, GUEST)).await,
        Served::default()
    );
}

pub(crate) async fn carts_are_kept_by_owner(store: &dyn CartStore) {
    put(store, &owner(ALICE), &[("a", 1)]).await;
    put(store, &owner(BOB), &[("b", 2)]).await;
    put(store, &owner(GUEST), &[("c", 3)]).await;
    check_cart(store, ALICE, &[("a", 1)]).await;
    check_cart(store, BOB, &[("b", 2)]).await;
    check_cart(store, GUEST, &[("c", 3)]).await;
}

pub(crate) async fn lines_keep_the_order_of_first_adding(store: &dyn CartStore) {
    let alice = owner(ALICE);
    put(store, &alice, &[("c", 1), ("a", 1), ("b", 1), ("c", 1)]).await;
    check_cart(store, ALICE, &[("c", 2), ("a", 1), ("b", 1)]).await;
    store
        .change(&alice, Change::Remove(sku("c")), at(1))
        .await
        .unwrap();
    store
        .change(&alice, Change::Update(line("a", 7)), at(2))
        .await
        .unwrap();
    put(store, &alice, &[("c", 1)]).await;
    check_cart(store, ALICE, &[("a", 7), ("b", 1), ("c", 1)]).await;
}

pub(crate) async fn updated_at_is_the_last_change(store: &dyn CartStore) {
    let alice = owner(ALICE);
    let served = store.change(&alice, add("a", 1), at(1)).await.unwrap();
    assert_eq!(served.updated_at, Some(at(1)));
    let served = store.change(&alice, Change::Clear, at(5)).await.unwrap();
    assert_eq!(
        (served.updated_at, served.cart),
        (Some(at(5)), Cart::default())
    );
    assert_eq!(
        load(store, &alice).await.updated_at,
        Some(at(5)),
        "an emptied cart has a past"
    );
}

pub(crate) async fn a_change_that_changes_nothing_leaves_no_trace(store: &dyn CartStore) {
    let alice = owner(ALICE);
    let served = store.change(&alice, Change::Clear, at(1)).await.unwrap();
    assert_eq!(served, Served::default());
    assert_eq!(load(store, &alice).await, Served::default());

    store.change(&alice, add("a", 4), at(2)).await.unwrap();
    let served = store
        .change(&alice, Change::Update(line("a", 4)), at(3))
        .await
        .unwrap();
    assert_eq!(served.updated_at, Some(at(2)));
}

pub(crate) async fn a_refused_change_changes_nothing(store: &dyn CartStore) {
    let alice = owner(ALICE);
    put(store, &alice, &[("a", 98)]).await;
    let before = load(store, &alice).await;
    for (change, expected) in [
        (add("a", 2), CartError::QuantityLimit),
        (Change::Update(line("b", 2)), CartError::LineNotFound),
        (Change::Remove(sku("b")), CartError::LineNotFound),
    ] {
        let error = store.change(&alice, change, at(9)).await.unwrap_err();
        assert!(
            matches!(error, ChangeError::Refused(error) if error == expected),
            "{error:?}"
        );
    }
    assert_eq!(load(store, &alice).await, before);
}

pub(crate) async fn a_merge_moves_the_guests_cart(store: &dyn CartStore) {
    put(store, &owner(ALICE), &[("b", 1), ("a", 2)]).await;
    put(store, &owner(GUEST), &[("c", 3), ("a", 4)]).await;

    let served = store.load(&signed_in(ALICE, GUEST), at(7)).await.unwrap();

    assert_eq!(served.cart, cart(&[("b", 1), ("a", 6), ("c", 3)]));
    assert_eq!(served.updated_at, Some(at(7)));
    assert_eq!(served.merged, Some(Leftover::default()));
    check_cart(store, ALICE, &[("b", 1), ("a", 6), ("c", 3)]).await;
    check_cart(store, GUEST, &[]).await;
}

pub(crate) async fn a_merge_happens_once(store: &dyn CartStore) {
    put(store, &owner(GUEST), &[("a", 4)]).await;
    let alice = signed_in(ALICE, GUEST);
    assert!(load(store, &alice).await.merged.is_some());
    for _ in 0..3 {
        let again = load(store, &alice).await;
        assert_eq!((again.merged, again.cart), (None, cart(&[("a", 4)])));
    }
    let changed = store.change(&alice, add("a", 1), at(2)).await.unwrap();
    assert_eq!((changed.merged, changed.cart), (None, cart(&[("a", 5)])));
}

pub(crate) async fn a_write_merges_too(store: &dyn CartStore) {
    put(store, &owner(GUEST), &[("a", 4)]).await;
    let alice = signed_in(ALICE, GUEST);
    let served = store
        .change(&alice, Change::Update(line("a", 9)), at(2))
        .await
        .unwrap();
    assert_eq!(
        (served.merged, served.cart),
        (Some(Leftover::default()), cart(&[("a", 9)]))
    );
    check_cart(store, GUEST, &[]).await;
}

pub(crate) async fn a_refused_write_does_not_merge(store: &dyn CartStore) {
    put(store, &owner(GUEST), &[("a", 4)]).await;
    let alice = signed_in(ALICE, GUEST);
    store
        .change(&alice, Change::Remove(sku("z")), at(2))
        .await
        .unwrap_err();
    check_cart(store, GUEST, &[("a", 4)]).await;
    check_cart(store, ALICE, &[]).await;
    assert_eq!(
        load(store, &alice).await.cart,
        cart(&[("a", 4)]),
        "the next request merges"
    );
}

pub(crate) async fn a_merge_caps_lines_and_says_what_it_left_out(store: &dyn CartStore) {
    put(store, &owner(ALICE), &[("a", 90)]).await;
    put(store, &owner(GUEST), &[("a", 30), ("b", 5)]).await;
    let served = load(store, &signed_in(ALICE, GUEST)).await;
    assert_eq!(served.cart, cart(&[("a", 99), ("b", 5)]));
    assert_eq!(
        served.merged,
        Some(Leftover {
            lines: 0,
            pieces: 21
        })
    );
}

pub(crate) async fn a_merged_guest_reads_an_empty_cart_and_may_not_write(store: &dyn CartStore) {
    put(store, &owner(GUEST), &[("a", 4)]).await;
    load(store, &signed_in(ALICE, GUEST)).await;

    let guest = owner(GUEST);
    assert_eq!(load(store, &guest).await, Served::default());
    for change in [add("a", 1), Change::Clear, Change::Remove(sku("a"))] {
        let error = store.change(&guest, change, at(3)).await.unwrap_err();
        assert!(matches!(error, ChangeError::GuestMerged), "{error:?}");
    }
    assert_eq!(
        load(store, &signed_in(ALICE, GUEST)).await.cart,
        cart(&[("a", 4)])
    );
}

pub(crate) async fn a_merged_guest_belongs_to_one_user_for_good(store: &dyn CartStore) {
    put(store, &owner(GUEST), &[("a", 4)]).await;
    load(store, &signed_in(ALICE, GUEST)).await;
    let bob = load(store, &signed_in(BOB, GUEST)).await;
    assert_eq!(bob, Served::default());
    let bob = store
        .change(&signed_in(BOB, GUEST), add("b", 1), at(3))
        .await
        .unwrap();
    assert_eq!((bob.merged, bob.cart), (None, cart(&[("b", 1)])));
    check_cart(store, ALICE, &[("a", 4)]).await;
}

pub(crate) async fn a_guest_with_nothing_is_not_marked(store: &dyn CartStore) {
    let alice = signed_in(ALICE, GUEST);
    assert_eq!(load(store, &alice).await.merged, None);
    put(store, &alice, &[("b", 1)]).await;
    // The guest's last request was still on its way when the person signed in.
    put(store, &owner(GUEST), &[("a", 4)]).await;
    assert_eq!(
        load(store, &alice).await.cart,
        cart(&[("b", 1), ("a", 4)]),
        "nothing is lost"
    );
}

pub(crate) async fn a_guest_with_an_emptied_cart_is_closed(store: &dyn CartStore) {
    put(store, &owner(ALICE), &[("b", 1)]).await;
    put(store, &owner(GUEST), &[("a", 4)]).await;
    store
        .change(&owner(GUEST), Change::Clear, at(1))
        .await
        .unwrap();

    let served = load(store, &signed_in(ALICE, GUEST)).await;

    assert_eq!(served.merged, Some(Leftover::default()));
    assert_eq!(
        served.updated_at,
        Some(at(0)),
        "an empty cart brings no change"
    );
    let error = store
        .change(&owner(GUEST), add("a", 1), at(3))
        .await
        .unwrap_err();
    assert!(matches!(error, ChangeError::GuestMerged), "{error:?}");
}

pub(crate) async fn a_second_guest_merges_after_the_first(store: &dyn CartStore) {
    put(store, &owner(GUEST), &[("a", 1)]).await;
    put(store, &owner(OTHER_GUEST), &[("b", 2), ("a", 3)]).await;
    load(store, &signed_in(ALICE, GUEST)).await;
    let served = load(store, &signed_in(ALICE, OTHER_GUEST)).await;
    assert_eq!(served.cart, cart(&[("a", 4), ("b", 2)]));
}
