use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn listening(
    subscribers: &Subscribers,
    (session, subject, key): (Option<u128>, u128, u128),
) -> (Subscribed, Arc<Count>) {
    let subscribed = subscribers.add(session, subject, key);
    let count = Arc::new(Count::default());
    subscribed.listen(&Arc::clone(&count).into());
    (subscribed, count)
}

#[test]
fn ten_thousand_wait_and_a_revoked_session_wakes_its_own() {
    let subscribers = Subscribers::default();
    let waiting: Vec<_> = (0..10_000)
        .map(|n| listening(&subscribers, (Some(n), 1 << 64, 2 << 64)))
        .collect();
    assert_eq!(subscribers.wake_session(4_711), 1);
    for (n, (_, count)) in waiting.iter().enumerate() {
        assert_eq!(count.get(), usize::from(n == 4_711));
    }
    drop(waiting);
    assert_eq!(subscribers.len(), 0);
    assert_eq!(subscribers.wake_all(), 0);
}

#[test]
fn wakes_by_subject_by_key_and_all() {
    let subscribers = Subscribers::default();
    let (_one, first) = listening(&subscribers, (Some(1), 10, 100));
    let (_two, second) = listening(&subscribers, (Some(2), 10, 200));
    let (_three, third) = listening(&subscribers, (None, 30, 200));
    let counts = || (first.get(), second.get(), third.get());
    assert_eq!(subscribers.wake_subject(10), 2);
    assert_eq!(counts(), (1, 1, 0));
    assert_eq!(subscribers.wake_key(200), 2);
    assert_eq!(counts(), (1, 2, 1));
    assert_eq!(subscribers.wake_all(), 3);
    assert_eq!(counts(), (2, 3, 2));
    assert_eq!(subscribers.wake_session(3), 0);
}

#[test]
fn one_who_moved_is_woken_where_it_is_now() {
    let subscribers = Subscribers::default();
    let (subscribed, before) = listening(&subscribers, (Some(1), 10, 100));
    let after = Arc::new(Count::default());
    subscribed.listen(&Arc::clone(&after).into());
    subscribers.wake_session(1);
    assert_eq!((before.get(), after.get()), (0, 1));
}

#[test]
fn one_who_does_not_listen_yet_is_no_obstacle() {
    let subscribers = Subscribers::default();
    let _silent = subscribers.add(Some(1), 10, 100);
    assert_eq!(subscribers.wake_session(1), 1);
}
