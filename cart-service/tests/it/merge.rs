//! A guest signs in: the cart comes along, once.

use tonic::Code;

use crate::{
    calls::{Caller, check, lines},
    harness::{ALICE, BOB, GUEST, Program},
};

#[tokio::test]
async fn a_guests_cart_survives_signing_in() {
    let program = Program::start().await;
    Caller::new(&program, ALICE)
        .await
        .add("lock-oil", 1)
        .await
        .unwrap();
    let mut guest = Caller::new(&program, GUEST).await;
    guest.add("brass-key", 2).await.unwrap();
    guest.add("lock-oil", 3).await.unwrap();

    let mut alice = Caller::after(&program, ALICE, GUEST).await;
    let merged = alice.get().await.unwrap();

    assert_eq!(lines(&merged), [("lock-oil", 4), ("brass-key", 2)]);
    for _ in 0..3 {
        assert_eq!(alice.get().await.unwrap(), merged, "a retry adds nothing");
    }
    let mut other_session = Caller::new(&program, ALICE).await;
    assert_eq!(other_session.get().await.unwrap(), merged);
}

#[tokio::test]
async fn the_first_request_after_signing_in_may_be_a_write() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .add("brass-key", 2)
        .await
        .unwrap();
    let mut alice = Caller::after(&program, ALICE, GUEST).await;
    let cart = alice.add("brass-key", 1).await.unwrap();
    assert_eq!(lines(&cart), [("brass-key", 3)]);
}

#[tokio::test]
async fn a_late_guest_reads_nothing_and_is_refused_to_write() {
    let program = Program::start().await;
    let mut guest = Caller::new(&program, GUEST).await;
    guest.add("brass-key", 2).await.unwrap();
    Caller::after(&program, ALICE, GUEST)
        .await
        .get()
        .await
        .unwrap();

    assert_eq!(lines(&guest.get().await.unwrap()), []);
    check(
        guest.add("lock-oil", 1).await,
        Code::FailedPrecondition,
        "GUEST_MERGED",
    );
    check(
        guest.clear().await,
        Code::FailedPrecondition,
        "GUEST_MERGED",
    );
}

#[tokio::test]
async fn another_user_cannot_take_what_was_taken() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .add("brass-key", 2)
        .await
        .unwrap();
    Caller::after(&program, ALICE, GUEST)
        .await
        .get()
        .await
        .unwrap();
    let mut bob = Caller::after(&program, BOB, GUEST).await;
    assert_eq!(lines(&bob.get().await.unwrap()), []);
}

#[tokio::test]
async fn only_people_take_over_and_only_from_guests() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .add("brass-key", 2)
        .await
        .unwrap();
    Caller::new(&program, BOB)
        .await
        .add("lock-oil", 2)
        .await
        .unwrap();
    let other_guest = "gst_018f4e2a-7b1c-7d3e-8f40-000000000002";
    for (subject, prior) in [(ALICE, BOB), (other_guest, GUEST), ("svc_gateway", GUEST)] {
        // The verifier may refuse such a token outright; if it does not, nothing moves.
        let answer = Caller::after(&program, subject, prior).await.get().await;
        assert!(
            answer.as_ref().is_ok_and(|cart| cart.lines.is_empty())
                || answer.is_err_and(|refused| refused.code() == Code::Unauthenticated)
        );
    }
    let guest = Caller::new(&program, GUEST).await.get().await.unwrap();
    let bob = Caller::new(&program, BOB).await.get().await.unwrap();
    assert_eq!(
        (lines(&guest), lines(&bob)),
        (vec![("brass-key", 2)], vec![("lock-oil", 2)])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_after_signing_in_merge_once() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .add("brass-key", 2)
        .await
        .unwrap();
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..16 {
        let mut alice = Caller::after(&program, ALICE, GUEST).await;
        requests.spawn(async move {
            if number % 4 == 0 {
                alice.add("lock-oil", 1).await
            } else {
                alice.get().await
            }
        });
    }
    for cart in requests.join_all().await {
        let cart = cart.unwrap();
        let keys = cart
            .lines
            .iter()
            .find(|line| line.sku == "brass-key")
            .unwrap();
        assert_eq!(keys.quantity, 2, "every answer has the guest's cart, once");
    }
    let mut cart = Caller::new(&program, ALICE).await.get().await.unwrap();
    cart.lines.sort_by(|a, b| a.sku.cmp(&b.sku));
    assert_eq!(lines(&cart), [("brass-key", 2), ("lock-oil", 4)]);

    let metrics = program.operations("/metrics").await;
    let merges = metrics
        .lines()
        .find(|line| line.starts_with("latchkey_cart_guest_merges_total"));
    assert!(merges.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
}

#[tokio::test]
async fn a_merge_survives_a_restart() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .add("brass-key", 2)
        .await
        .unwrap();
    let merged = Caller::after(&program, ALICE, GUEST)
        .await
        .get()
        .await
        .unwrap();

    let program = program.restart().await;

    assert_eq!(
        Caller::after(&program, ALICE, GUEST)
            .await
            .get()
            .await
            .unwrap(),
        merged
    );
    let mut guest = Caller::new(&program, GUEST).await;
    check(
        guest.add("lock-oil", 1).await,
        Code::FailedPrecondition,
        "GUEST_MERGED",
    );
}
