use std::time::Duration;

use chassis::ManualClock;
use jiff::Timestamp;

use super::*;
use crate::exchange::{Holder, IssuedSession};

/// Anywhere: only spans count.
const START: Duration = Duration::from_secs(1_000);

fn issued(seconds: u64, session: Option<&str>) -> Issued {
    Issued {
        access_token: "token".into(),
        expires_in: Duration::from_secs(seconds),
        key_id: "kid".into(),
        issued_at: Timestamp::UNIX_EPOCH,
        session: session.map(|id| IssuedSession {
            kind: SessionKind::User,
            id: id.into(),
            subject: "usr_1".into(),
        }),
    }
}

fn entry(seconds: u64, spread: u8) -> Entry {
    Entry::new(&issued(seconds, None), START, spread).unwrap()
}

fn cache(capacity: usize) -> Cache {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    Cache::new(capacity, Revocations::none(Arc::new(clock)))
}

fn is_usable(cache: &Cache, now: Duration) -> bool {
    matches!(cache.find(&key(), now), Found::Usable { .. })
}

fn after(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

fn key() -> Key {
    Key {
        holder: Holder::Anonymous,
        audience: "cart-service".into(),
    }
}

#[test]
fn is_renewed_from_two_thirds_and_dies_before_its_expiry() {
    let first = entry(60, 0);
    assert!(!first.renewal_is_due(after(39)));
    assert!(first.renewal_is_due(after(40)));
    let last = entry(60, 255);
    assert!(!last.renewal_is_due(after(44)));
    assert!(last.renewal_is_due(after(45)));
    assert_eq!(last.expires_at(), after(60));

    let cache = cache(10);
    cache.insert(key(), Arc::new(last));
    assert!(is_usable(&cache, after(54)));
    assert!(!is_usable(&cache, after(55)));
    // And is gone.
    assert!(!is_usable(&cache, after(54)));
}

#[test]
fn a_failed_renewal_is_not_repeated_at_once_nor_with_all_the_others() {
    let cache = cache(10);
    for (spread, due) in [(0, 51_000), (128, 51_500)] {
        cache.insert(key(), Arc::new(entry(60, spread)));
        cache.postpone_renewal(&key(), after(50));
        let due = START + Duration::from_millis(due);
        for (now, expected) in [(due - Duration::from_millis(1), false), (due, true)] {
            let Found::Usable { renewal_is_due, .. } = cache.find(&key(), now) else {
                panic!("the token at hand stays")
            };
            assert_eq!(renewal_is_due, expected, "{spread} {now:?}");
        }
    }
}

#[test]
fn no_token_is_used_longer_than_the_designs_limit() {
    let cache = cache(10);
    cache.insert(key(), Arc::new(entry(86_400, 0)));
    assert!(is_usable(&cache, after(294)));
    assert!(!is_usable(&cache, after(295)));
}

#[test]
fn odd_answers_are_refused() {
    let no_life = issued(0, None);
    let broken = Issued {
        access_token: "a\nb".into(),
        ..issued(60, None)
    };
    let of_no_key = Issued {
        key_id: String::new(),
        ..issued(60, None)
    };
    for odd in [no_life, broken, of_no_key] {
        assert!(Entry::new(&odd, START, 0).is_err());
    }
}

#[test]
fn an_ended_sessions_token_is_not_used_and_gone() {
    let cache = cache(10);
    let of_a = Entry::new(&issued(60, Some("a")), START, 0).unwrap();
    cache.insert(key(), Arc::new(of_a));
    cache.revocations.note_session_ended("b");
    assert!(is_usable(&cache, START));
    cache.revocations.note_session_ended("a");
    assert!(matches!(cache.find(&key(), START), Found::Revoked));
    assert!(matches!(cache.find(&key(), START), Found::Nothing));
}

#[test]
fn a_fresh_token_survives_the_drop_of_the_one_before() {
    let cache = cache(10);
    let old = Arc::new(entry(60, 0));
    cache.insert(key(), old.clone());
    cache.insert(key(), Arc::new(entry(60, 0)));
    cache.drop_entry(&key(), &old);
    assert!(is_usable(&cache, START));
}

#[test]
fn the_number_of_tokens_is_bounded() {
    let cache = cache(10);
    for number in 0..1_000_u32 {
        let audience = number.to_string().into();
        cache.insert(
            Key {
                holder: Holder::Anonymous,
                audience,
            },
            Arc::new(entry(60, 0)),
        );
    }
    assert!(cache.entries.len() <= 10);
}
