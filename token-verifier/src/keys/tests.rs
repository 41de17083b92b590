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
    keys.install(&document(&[&old])).unwrap();
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
async fn an_answer_that_was_asked_for_before_the_feed_spoke_has_no_news() {
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let keys = keys();
    let asked_at = Instant::now();
    assert!(answers(&keys, &[&old], asked_at).unwrap());
    advance(Duration::from_millis(5)).await;
    keys.install(&document(&[&new])).unwrap();
    assert!(!answers(&keys, &[&old, &new], asked_at).unwrap());
    assert!(holds(&keys, &[&new]));
}

// A new key is published well before it signs, but a feed that lags for longer must not
// keep it away.
#[tokio::test(start_paused = true)]
async fn a_key_that_only_the_address_has_is_added_while_the_feed_is_heard() {
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let keys = keys();
    keys.install(&document(&[&old])).unwrap();
    for _ in 0..600 {
        advance(Duration::from_secs(1)).await;
        keys.confirmed_by_feed();
    }
    assert!(answers(&keys, &[&new], Instant::now()).unwrap());
    assert!(holds(&keys, &[&old, &new]));
    // It is no document that the issuer wrote.
    assert!(keys.shared.current().unwrap().document.is_none());
    assert!(answers(&keys, &[&old, &new], Instant::now()).unwrap());
    assert!(keys.shared.current().unwrap().document.is_some());
    assert!(!answers(&keys, &[&new], Instant::now()).unwrap());
    assert!(holds(&keys, &[&old, &new]));
}

#[tokio::test(start_paused = true)]
async fn what_is_added_has_the_bounds_of_a_set() {
    let issuers: Vec<_> = (0..33).map(|_| TestIssuer::new("i")).collect();
    let (last, others) = issuers.split_last().unwrap();
    let keys = keys();
    keys.install(&document(&others.iter().collect::<Vec<_>>()))
        .unwrap();
    assert!(!answers(&keys, &[last], Instant::now()).unwrap());
    assert!(keys.find(last.kid()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_lags_bans_no_key_that_it_has_not_announced() {
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let keys = keys();
    assert!(answers(&keys, &[&old, &new], Instant::now()).unwrap());
    keys.install(&document(&[&old])).unwrap();
    for wait in [Duration::from_secs(1), FEED_PREVAILS * 2] {
        advance(wait).await;
        assert!(answers(&keys, &[&old, &new], Instant::now()).unwrap());
        assert!(keys.find(new.kid()).is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn the_feed_does_not_confirm_a_set_that_was_too_old_by_then() {
    let keys = keys();
    keys.install(&document(&[&TestIssuer::new("i")])).unwrap();
    advance(MAX_STALE).await;
    keys.confirmed_by_feed();
    assert!(!keys.is_ready());
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
