use tokio::time::{advance, sleep};

use super::*;
use crate::testing::TestIssuer;

const MAX_STALE: Duration = Duration::from_secs(600);

fn keys() -> Keys {
    Keys::sharing(Arc::new(Shared::lasting(MAX_STALE)))
}

fn document(issuers: &[&TestIssuer]) -> Vec<u8> {
    let keys: Vec<_> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    serde_json::json!({ "keys": keys }).to_string().into()
}

/// The address answers now to what was asked at `asked_at`.
fn answers(keys: &Keys, issuers: &[&TestIssuer], asked_at: Instant) -> Result<bool, FetchError> {
    let document = document(issuers);
    let set = KeySet::from_json(&document).unwrap();
    let offered = keys.shared.offer(&set, document.into(), asked_at);
    offered.map(|taken| taken.is_some())
}

fn holds(keys: &Keys, issuers: &[&TestIssuer]) -> bool {
    let set = KeySet::from_json(&document(issuers)).unwrap();
    keys.shared.current().unwrap().set.is_same(&set)
}

#[tokio::test(start_paused = true)]
async fn what_the_feed_announces_counts_at_once_and_only_if_it_is_sound() {
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let keys = keys();
    keys.install(&document(&[&old])).unwrap();
    assert!(keys.is_ready());
    let mut private = new.jwk();
    private["d"] = "AA".into();
    let poisoned = serde_json::json!({ "keys": [private] }).to_string();
    assert!(keys.install(poisoned.as_bytes()).is_err());
    assert!(keys.install(br#"{"keys":[]}"#).is_err());
    assert!(holds(&keys, &[&old]));
    keys.install(&document(&[&old, &new])).unwrap();
    assert!(keys.find(new.kid()).is_ok());
}

// KR-02: what was asked for before the feed dropped a key, or comes out of a copy that
// lags, does not bring it back; nor does it take away what the feed announced.
#[tokio::test(start_paused = true)]
async fn an_older_answer_does_not_undo_what_the_feed_said() {
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let keys = keys();
    let asked_at = Instant::now();
    assert!(answers(&keys, &[&old], asked_at).unwrap());
    advance(Duration::from_millis(5)).await;
    keys.install(&document(&[&new])).unwrap();
    for asked_at in [asked_at, Instant::now(), Instant::now() + FEED_PREVAILS / 2] {
        assert!(!answers(&keys, &[&old], asked_at).unwrap());
        assert!(!answers(&keys, &[&old, &new], asked_at).unwrap());
        assert!(holds(&keys, &[&new]));
    }
    assert!(answers(&keys, &[&new], Instant::now()).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_feed_dropped_stays_dropped_when_the_feed_is_gone() {
    let (old, new, newest) = (
        TestIssuer::new("i"),
        TestIssuer::new("i"),
        TestIssuer::new("i"),
    );
    let keys = keys();
    keys.install(&document(&[&old, &new])).unwrap();
    keys.install(&document(&[&new])).unwrap();
    sleep(FEED_PREVAILS).await;
    assert!(answers(&keys, &[&old, &new, &newest], Instant::now()).unwrap());
    assert!(holds(&keys, &[&new, &newest]));
    // Such a set is none to begin with after a restart.
    assert!(keys.shared.current().unwrap().document.is_none());
    let error = answers(&keys, &[&old], Instant::now()).unwrap_err();
    assert!(matches!(error, FetchError::Dropped));
    assert!(holds(&keys, &[&new, &newest]));
    // The feed itself may say so again.
    keys.install(&document(&[&old])).unwrap();
    assert!(keys.find(old.kid()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_feed_confirms_what_it_announced_and_nothing_else() {
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let keys = keys();
    answers(&keys, &[&old], Instant::now()).unwrap();
    sleep(MAX_STALE - Duration::from_secs(1)).await;
    keys.confirmed_by_feed();
    sleep(Duration::from_secs(1)).await;
    assert!(!keys.is_ready());
    keys.install(&document(&[&new])).unwrap();
    for _ in 0..30 {
        sleep(MAX_STALE / 10).await;
        keys.confirmed_by_feed();
        assert!(!answers(&keys, &[&old], Instant::now()).unwrap());
    }
    assert!(holds(&keys, &[&new]) && keys.is_ready());
    sleep(MAX_STALE).await;
    assert!(!keys.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_saved_set_is_as_old_as_it_is_and_gives_way_to_any_other() {
    let (saved, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let (keys, age) = (keys(), MAX_STALE - Duration::from_secs(10));
    let restore = |keys: &Keys| {
        let document = Bytes::from(document(&[&saved]));
        keys.shared.restore(saved.key_set(), document, age)
    };
    assert!(restore(&keys));
    assert!(keys.is_ready());
    sleep(Duration::from_secs(10)).await;
    assert!(!keys.is_ready());
    keys.install(&document(&[&new])).unwrap();
    assert!(!restore(&keys));
    assert!(holds(&keys, &[&new]));
}
