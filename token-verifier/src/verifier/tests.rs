//! What the verifier remembers. The ways to be wrong are in `tests/it`.

use std::time::Duration;

mod revoked;

use jiff::Timestamp;

use super::*;
use crate::clock::ManualClock;
use crate::keys::Shared;
use crate::testing::TestIssuer;

const NOW: i64 = 1_800_000_000;

struct Stage {
    clock: ManualClock,
    shared: Arc<Shared>,
    verifier: TokenVerifier,
}

impl Stage {
    fn new(issuer: &TestIssuer) -> Self {
        Self::of(issuer, Shared::default())
    }

    fn of(issuer: &TestIssuer, shared: Shared) -> Self {
        let clock = ManualClock::at(now());
        let shared = Arc::new(shared);
        shared.install(issuer.key_set(), None);
        let expectations = Expectations {
            issuer: "http://issuer".to_owned(),
            audience: "cart-service".to_owned(),
        };
        let keys = Keys::sharing(Arc::clone(&shared));
        let verifier = TokenVerifier::new(expectations, keys, Arc::new(clock.clone()));
        Self {
            clock,
            shared,
            verifier,
        }
    }

    fn remembered(&self) -> usize {
        self.verifier.remembered.len()
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn token(issuer: &TestIssuer) -> String {
    issuer.token("cart-service", "anonymous", now())
}

#[test]
fn remembers_what_it_verified_and_nothing_else() {
    let issuer = TestIssuer::new("http://issuer");
    let stage = Stage::new(&issuer);
    let token = token(&issuer);
    let first = stage.verifier.verify(&token).unwrap();
    let second = stage.verifier.verify(&token).unwrap();
    assert!(std::ptr::eq(first.claims(), second.claims()));
    assert_eq!(stage.remembered(), 1);
    let mut forged = token;
    forged.replace_range(forged.len() - 5..forged.len() - 4, "-");
    assert!(stage.verifier.verify(&forged).is_err());
    let elsewhere = issuer.token("profile-service", "anonymous", now());
    assert!(stage.verifier.verify(&elsewhere).is_err());
    assert_eq!(stage.remembered(), 1);
}

#[test]
fn rejects_a_remembered_token_once_it_expires_and_forgets_it() {
    let issuer = TestIssuer::new("http://issuer");
    let stage = Stage::new(&issuer);
    let token = token(&issuer);
    stage.verifier.verify(&token).unwrap();
    stage.clock.advance(SignedDuration::from_secs(65));
    assert_eq!(
        stage.verifier.verify(&token).unwrap_err().reason(),
        "expired"
    );
    assert_eq!(stage.remembered(), 0);
}

#[test]
fn rejects_a_remembered_token_when_the_clock_goes_back_before_it() {
    let issuer = TestIssuer::new("http://issuer");
    let stage = Stage::new(&issuer);
    let token = token(&issuer);
    stage.verifier.verify(&token).unwrap();
    stage.clock.advance(SignedDuration::from_hours(-1));
    assert_eq!(
        stage.verifier.verify(&token).unwrap_err().reason(),
        "not_yet_valid"
    );
}

#[test]
fn rejects_a_remembered_token_whose_key_was_withdrawn() {
    let issuer = TestIssuer::new("http://issuer");
    let stage = Stage::new(&issuer);
    let token = token(&issuer);
    stage.verifier.verify(&token).unwrap();
    stage
        .shared
        .install(TestIssuer::new("http://issuer").key_set(), None);
    assert_eq!(
        stage.verifier.verify(&token).unwrap_err().reason(),
        "unknown_kid"
    );
    assert_eq!(stage.remembered(), 0);
}

#[test]
fn rejects_a_remembered_token_whose_kid_names_another_key_now() {
    let issuer = TestIssuer::new("http://issuer");
    let stage = Stage::new(&issuer);
    let token = token(&issuer);
    stage.verifier.verify(&token).unwrap();
    let mut jwk = TestIssuer::new("http://issuer").jwk();
    jwk["kid"] = issuer.kid().into();
    let document = serde_json::json!({ "keys": [jwk] }).to_string();
    stage
        .shared
        .install(crate::KeySet::from_json(document.as_bytes()).unwrap(), None);
    assert_eq!(
        stage.verifier.verify(&token).unwrap_err().reason(),
        "bad_signature"
    );
}

#[test]
fn keeps_a_remembered_token_when_the_same_key_comes_in_a_new_document() {
    let issuer = TestIssuer::new("http://issuer");
    let stage = Stage::new(&issuer);
    let token = token(&issuer);
    let first = stage.verifier.verify(&token).unwrap();
    stage.shared.install(issuer.key_set(), None);
    let second = stage.verifier.verify(&token).unwrap();
    assert!(std::ptr::eq(first.claims(), second.claims()));
}

#[tokio::test(start_paused = true)]
async fn rejects_a_remembered_token_when_keys_are_too_old() {
    let issuer = TestIssuer::new("http://issuer");
    let max_stale = Duration::from_secs(9);
    let stage = Stage::of(&issuer, Shared::lasting(max_stale));
    let token = token(&issuer);
    stage.verifier.verify(&token).unwrap();
    tokio::time::advance(max_stale).await;
    assert_eq!(
        stage.verifier.verify(&token).unwrap_err().reason(),
        "keys_unavailable"
    );
    assert!(!stage.verifier.is_ready());
}

#[test]
fn memory_is_bounded() {
    let issuer = TestIssuer::new("http://issuer");
    let mut stage = Stage::new(&issuer);
    stage.verifier.remembered = Arc::new(Cache::new(16));
    for _ in 0..200 {
        stage.verifier.verify(&token(&issuer)).unwrap();
    }
    assert!(stage.remembered() <= 16);
}
