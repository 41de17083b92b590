//! A guest signs in: what the guest has set comes along, once.

use proto::profile::v1::Profile;
use tonic::Code;

use crate::{
    calls::{Caller, check, defaults},
    harness::{ALICE, BOB, GUEST, Program},
};

#[tokio::test]
async fn a_guests_theme_survives_unless_the_user_has_one() {
    let program = Program::start().await;
    let mut guest = Caller::new(&program, GUEST).await;
    guest
        .set(&[("theme", "dark"), ("locale", "de-CH")])
        .await
        .unwrap();
    Caller::new(&program, ALICE)
        .await
        .set(&[("locale", "fr"), ("display_name", "A")])
        .await
        .unwrap();

    let mut alice = Caller::after(&program, ALICE, GUEST).await;
    let merged = alice.get().await.unwrap();

    let expected = Profile {
        display_name: "A".into(),
        theme: "dark".into(),
        locale: "fr".into(),
        ..defaults(ALICE)
    };
    assert_eq!(merged, expected);
    for _ in 0..3 {
        assert_eq!(
            alice.get().await.unwrap(),
            expected,
            "a retry changes nothing"
        );
    }
    assert_eq!(
        Caller::new(&program, ALICE).await.get().await.unwrap(),
        expected
    );
}

#[tokio::test]
async fn the_first_request_after_signing_in_may_be_a_write() {
    let program = Program::start().await;
    let mut guest = Caller::new(&program, GUEST).await;
    guest
        .set(&[("theme", "dark"), ("currency", "CHF")])
        .await
        .unwrap();
    let mut alice = Caller::after(&program, ALICE, GUEST).await;
    let set = alice.set(&[("theme", "light")]).await.unwrap();
    let expected = Profile {
        theme: "light".into(),
        currency: "CHF".into(),
        ..defaults(ALICE)
    };
    assert_eq!(set, expected);
}

#[tokio::test]
async fn a_late_guest_reads_defaults_and_is_refused_to_write() {
    let program = Program::start().await;
    let mut guest = Caller::new(&program, GUEST).await;
    guest.set(&[("theme", "dark")]).await.unwrap();
    Caller::after(&program, ALICE, GUEST)
        .await
        .get()
        .await
        .unwrap();

    assert_eq!(guest.get().await.unwrap(), defaults(GUEST));
    let late = guest.set(&[("theme", "light")]).await;
    check(late, Code::FailedPrecondition, "GUEST_MERGED");
}

#[tokio::test]
async fn another_user_cannot_take_what_was_taken() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .set(&[("theme", "dark")])
        .await
        .unwrap();
    Caller::after(&program, ALICE, GUEST)
        .await
        .get()
        .await
        .unwrap();
    let bob = Caller::after(&program, BOB, GUEST)
        .await
        .get()
        .await
        .unwrap();
    assert_eq!(bob, defaults(BOB));
}

#[tokio::test]
async fn only_people_take_over_and_only_from_guests() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .set(&[("theme", "dark")])
        .await
        .unwrap();
    Caller::new(&program, BOB)
        .await
        .set(&[("theme", "dark")])
        .await
        .unwrap();
    let other_guest = "gst_018f4e2a-7b1c-7d3e-8f40-000000000002";
    for (subject, prior) in [(ALICE, BOB), (other_guest, GUEST), ("svc_gateway", GUEST)] {
        // The verifier may refuse such a token outright; if it does not, nothing moves.
        match Caller::after(&program, subject, prior).await.get().await {
            Ok(profile) => assert_eq!(profile, defaults(subject)),
            Err(refused) => assert_eq!(refused.code(), Code::Unauthenticated),
        }
    }
    for subject in [GUEST, BOB] {
        let kept = Caller::new(&program, subject).await.get().await.unwrap();
        assert_eq!(kept.theme, "dark", "{subject}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_after_signing_in_merge_once() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .set(&[("theme", "dark")])
        .await
        .unwrap();
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..16 {
        let mut alice = Caller::after(&program, ALICE, GUEST).await;
        requests.spawn(async move {
            if number % 4 == 0 {
                alice.set(&[("locale", "de")]).await
            } else {
                alice.get().await
            }
        });
    }
    for profile in requests.join_all().await {
        assert_eq!(
            profile.unwrap().theme,
            "dark",
            "every answer has the guest's theme"
        );
    }
    let metrics = program.operations("/metrics").await;
    let merges = metrics
        .lines()
        .find(|line| line.starts_with("latchkey_profile_guest_merges_total"));
    assert!(merges.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
}

#[tokio::test]
async fn a_merge_survives_a_restart() {
    let program = Program::start().await;
    Caller::new(&program, GUEST)
        .await
        .set(&[("theme", "dark")])
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
    let late = Caller::new(&program, GUEST)
        .await
        .set(&[("theme", "light")])
        .await;
    check(late, Code::FailedPrecondition, "GUEST_MERGED");
}
