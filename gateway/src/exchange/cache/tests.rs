use std::time::Duration;

use super::*;
use crate::exchange::Holder;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn issued(seconds: u64, session: Option<&str>) -> Issued {
    Issued {
        access_token: "token".into(),
        expires_in: Duration::from_secs(seconds),
        session: session.map(|id| IssuedSession {
            kind: SessionKind::User,
            id: id.into(),
        }),
    }
}

fn after(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

fn key() -> Key {
    Key {
        holder: Holder::Anonymous,
        audience: "cart-service".into(),
    }
}

#[test]
fn is_renewed_from_two_thirds_and_dies_before_its_expiry() {
    let first = Entry::new(issued(60, None), START, 0).unwrap();
    assert!(!first.renewal_is_due(after(39)));
    assert!(first.renewal_is_due(after(40)));
    let last = Entry::new(issued(60, None), START, 255).unwrap();
    assert!(!last.renewal_is_due(after(44)));
    assert!(last.renewal_is_due(after(45)));

    let cache = Cache::new(10);
    cache.insert(key(), Arc::new(last));
    assert!(cache.get(&key(), after(54)).is_some());
    assert!(cache.get(&key(), after(55)).is_none());
    // And is gone, also for a clock that is set back.
    assert!(cache.get(&key(), after(54)).is_none());
}

#[test]
fn no_token_is_used_longer_than_the_designs_limit() {
    let cache = Cache::new(10);
    let entry = Entry::new(issued(86_400, None), START, 0).unwrap();
    cache.insert(key(), Arc::new(entry));
    assert!(cache.get(&key(), after(294)).is_some());
    assert!(cache.get(&key(), after(295)).is_none());
}

#[test]
fn odd_answers_are_refused() {
    assert!(Entry::new(issued(0, None), START, 0).is_err());
    let broken = Issued {
        access_token: "a\nb".into(),
        ..issued(60, None)
    };
    assert!(Entry::new(broken, START, 0).is_err());
}

#[test]
fn an_ended_sessions_tokens_are_not_used() {
    let cache = Cache::new(10);
    cache.insert(
        key(),
        Arc::new(Entry::new(issued(60, Some("a")), START, 0).unwrap()),
    );
    assert!(!cache.session_ended("b", START));
    assert!(cache.get(&key(), START).is_some());
    assert!(!cache.session_ended("a", START));
    assert!(cache.get(&key(), START).is_none());
}

#[test]
fn ended_sessions_are_bounded() {
    let ended = EndedSessions::default();
    for number in 0..MAX_ENDED {
        assert!(!ended.insert(&number.to_string(), START));
    }
    // All remembered ones are still needed: the caller has to forget every token.
    assert!(ended.insert("one more", START));
    assert!(ended.contains("one more"));
    for number in 1..MAX_ENDED {
        assert!(!ended.insert(&number.to_string(), START));
    }
    // Old ones make room.
    assert!(!ended.insert("much later", after(361)));
    assert!(!ended.contains("1"));
}

#[test]
fn the_number_of_tokens_is_bounded() {
    let cache = Cache::new(10);
    for number in 0..1_000_u32 {
        let audience = number.to_string().into();
        let entry = Entry::new(issued(60, None), START, 0).unwrap();
        cache.insert(
            Key {
                holder: Holder::Anonymous,
                audience,
            },
            Arc::new(entry),
        );
    }
    assert!(cache.entries.len() <= 10);
}
