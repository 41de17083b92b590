use proptest::prelude::*;
use proto::auth::v1::Revocation;

use super::*;
use crate::revocations::fixtures::{
    LOG, TIMEOUT, at_ms, batch, heartbeat, key_set, opening, session, sessions,
};

const ROOM: usize = 1_000;

struct Stage {
    follower: Follower,
    now: Duration,
}

impl Stage {
    fn new() -> Self {
        Self {
            follower: Follower::new(TIMEOUT),
            now: at_ms(10_000),
        }
    }

    /// One that follows, and has applied through 5.
    fn following() -> Self {
        let mut stage = Self::new();
        stage.opens(0, 5);
        let effects = stage.takes(sessions(0, 5));
        assert!(effects.snapshot_ends);
        assert_eq!(stage.state(), FeedState::Following);
        stage
    }

    fn opens(&mut self, after: u64, head: u64) -> Effects {
        self.follower.request(self.now);
        let message = opening(LOG, after, head, self.now);
        self.takes(message)
    }

    #[track_caller]
    fn takes(&mut self, message: WatchResponse) -> Effects {
        self.follower.apply(message, self.now, ROOM).unwrap()
    }

    #[track_caller]
    fn gives_up(&mut self, message: WatchResponse, reason: &str) {
        let applied = self.follower.applied.clone().map(|at| (at.log_id, at.seq));
        let resync = self.follower.apply(message, self.now, ROOM).unwrap_err();
        assert_eq!(resync.reason(), reason, "{resync}");
        let after = self.follower.applied.clone().map(|at| (at.log_id, at.seq));
        assert_eq!(applied, after, "nothing is applied");
        // And nothing more of that stream is believed.
        let more = self.follower.apply(heartbeat(5, self.now), self.now, ROOM);
        assert!(matches!(more, Err(Resync::Opening)));
    }

    fn passes(&mut self, ms: u64) {
        self.now += at_ms(ms);
    }

    fn state(&self) -> FeedState {
        self.follower.state(self.now)
    }

    fn asks(&mut self) -> (String, u64) {
        let request = self.follower.request(self.now);
        (request.log_id, request.after_seq)
    }
}

#[test]
fn asks_for_everything_first() {
    let mut stage = Stage::new();
    assert_eq!(stage.asks(), (String::new(), 0));
    assert_eq!(stage.state(), FeedState::NoSnapshot);
}

#[test]
fn a_snapshot_counts_once_it_is_whole() {
    let mut stage = Stage::new();
    let effects = stage.opens(0, 5);
    assert!(effects.snapshot_begins && !effects.snapshot_ends);
    let effects = stage.takes(sessions(0, 4));
    assert!(!effects.snapshot_ends && effects.seen_at.is_none());
    assert_eq!(stage.state(), FeedState::NoSnapshot);
    assert!(stage.follower.is_collecting());
    // Half of a snapshot is nothing to go on from.
    assert_eq!(stage.asks(), (String::new(), 0));

    stage.opens(0, 5);
    stage.takes(sessions(0, 4));
    let effects = stage.takes(sessions(4, 6));
    assert!(effects.snapshot_ends);
    assert_eq!(stage.state(), FeedState::Following);
    assert_eq!(stage.asks(), (LOG.to_owned(), 6));
}

#[test]
fn an_empty_log_is_a_snapshot() {
    let mut stage = Stage::new();
    let effects = stage.opens(0, 0);
    assert!(effects.snapshot_begins && effects.snapshot_ends);
    assert_eq!(stage.state(), FeedState::Following);
    assert_eq!(stage.asks(), (LOG.to_owned(), 0));
}

#[test]
fn a_snapshot_whose_last_numbers_were_dropped_ends_all_the_same() {
    let mut stage = Stage::new();
    stage.opens(0, 9);
    let effects = stage.takes(batch(0, 9, vec![session(3, 3)]));
    assert!(effects.snapshot_ends);
    assert_eq!(effects.revoked.len(), 1);
}

#[test]
fn goes_on_where_it_was() {
    let mut stage = Stage::following();
    stage.passes(10_000);
    assert_eq!(stage.state(), FeedState::Stale);
    let effects = stage.opens(5, 7);
    assert!(!effects.snapshot_begins && !stage.follower.is_collecting());
    // Not before it has caught up.
    assert_eq!(stage.state(), FeedState::Stale);
    let effects = stage.takes(sessions(5, 7));
    assert_eq!(effects.revoked.len(), 2);
    assert_eq!(stage.state(), FeedState::Following);
    stage.takes(sessions(7, 8));
    assert_eq!(stage.asks(), (LOG.to_owned(), 8));
}

#[test]
fn what_is_applied_while_catching_up_is_not_asked_for_again() {
    let mut stage = Stage::following();
    stage.opens(5, 9);
    stage.takes(sessions(5, 7));
    assert_eq!(stage.asks(), (LOG.to_owned(), 7));
}

#[test]
fn another_log_replaces_all_once_it_is_whole() {
    let mut stage = Stage::following();
    stage.follower.request(stage.now);
    let effects = stage.takes(opening("log-2", 0, 1, stage.now));
    assert!(effects.snapshot_begins);
    assert_eq!(stage.asks(), (LOG.to_owned(), 5));
    stage.takes(opening("log-2", 0, 1, stage.now));
    assert!(stage.takes(sessions(0, 1)).snapshot_ends);
    assert_eq!(stage.asks(), ("log-2".to_owned(), 1));
}

#[test]
fn gives_up_a_stream_that_goes_on_elsewhere() {
    for (log, after, head) in [("log-2", 5, 9), (LOG, 4, 9), (LOG, 6, 9)] {
        let mut stage = Stage::following();
        stage.follower.request(stage.now);
        stage.gives_up(opening(log, after, head, stage.now), "malformed");
    }
}

#[test]
fn gives_up_a_stream_that_does_not_begin_with_one_opening() {
    for first in [
        sessions(0, 1),
        heartbeat(0, at_ms(10_000)),
        key_set("{}"),
        WatchResponse { event: None },
    ] {
        let mut stage = Stage::new();
        stage.follower.request(stage.now);
        stage.gives_up(first, "opening");
    }
    let mut stage = Stage::following();
    stage.gives_up(opening(LOG, 5, 5, stage.now), "opening");
    let mut unasked = Stage::new();
    unasked.gives_up(opening(LOG, 0, 0, unasked.now), "opening");
}

#[test]
fn duplicates_change_nothing() {
    let mut stage = Stage::following();
    for again in [
        sessions(0, 5),
        sessions(3, 5),
        sessions(0, 1),
        batch(5, 5, vec![]),
    ] {
        assert_eq!(stage.takes(again), Effects::default());
    }
    // One that overlaps brings what is new.
    assert_eq!(stage.takes(sessions(3, 7)).revoked.len(), 4);
    assert_eq!(stage.asks(), (LOG.to_owned(), 7));
}

#[test]
fn gives_up_at_a_gap() {
    let mut stage = Stage::following();
    stage.gives_up(sessions(6, 7), "gap");
    let mut stage = Stage::following();
    stage.gives_up(heartbeat(6, stage.now), "gap");
    assert_eq!(stage.asks(), (LOG.to_owned(), 5));
    let mut stage = Stage::new();
    stage.opens(0, 9);
    stage.takes(sessions(0, 3));
    stage.gives_up(sessions(4, 9), "gap");
    assert_eq!(stage.state(), FeedState::NoSnapshot);
}

#[test]
fn gives_up_at_what_is_malformed() {
    let unset = Revocation {
        target: None,
        ..session(6, 6)
    };
    let early = Revocation {
        seq: 5,
        ..session(5, 5)
    };
    let no_time = WatchResponse {
        event: Some(Event::Heartbeat(Heartbeat {
            head_seq: 5,
            now_us: -1,
        })),
    };
    for message in [
        batch(5, 6, vec![unset]),
        batch(5, 6, vec![early]),
        batch(7, 6, vec![]),
        no_time,
    ] {
        Stage::following().gives_up(message, "malformed");
    }
}

#[test]
fn gives_up_at_more_than_there_is_room_for() {
    let mut stage = Stage::new();
    stage.opens(0, 2);
    let resync = stage
        .follower
        .apply(sessions(0, 2), stage.now, 1)
        .unwrap_err();
    assert_eq!(resync.reason(), "too_many");
    assert_eq!(stage.state(), FeedState::NoSnapshot);
}

#[test]
fn an_event_of_the_future_is_passed_over() {
    let mut stage = Stage::following();
    assert_eq!(
        stage.takes(WatchResponse { event: None }),
        Effects::default()
    );
    stage.takes(sessions(5, 6));
}

#[test]
fn is_stale_without_heartbeats_and_not_with_them() {
    let mut stage = Stage::following();
    for _ in 0..10 {
        stage.passes(1_000);
        stage.takes(heartbeat(5, stage.now));
        assert_eq!(stage.state(), FeedState::Following);
    }
    stage.passes(2_999);
    assert_eq!(stage.state(), FeedState::Following);
    stage.passes(1);
    assert_eq!(stage.state(), FeedState::Stale);
}

#[test]
fn revocations_are_no_heartbeats() {
    let mut stage = Stage::following();
    for seq in 5..8 {
        stage.passes(1_000);
        stage.takes(sessions(seq, seq + 1));
    }
    assert_eq!(stage.state(), FeedState::Stale);
}

#[test]
fn a_heartbeat_that_lags_behind_what_was_applied_is_proof() {
    let mut stage = Stage::following();
    stage.passes(2_000);
    assert!(stage.takes(heartbeat(4, stage.now)).seen_at.is_some());
}

#[test]
fn heartbeats_out_of_a_buffer_prove_nothing() {
    let mut stage = Stage::following();
    let sent_at = stage.now + at_ms(1_000);
    stage.passes(60_000);
    stage.gives_up(heartbeat(5, sent_at), "late");
    assert_eq!(stage.state(), FeedState::Stale);
    stage.opens(5, 5);
    assert_eq!(stage.state(), FeedState::Following);
}

#[test]
fn an_opening_proves_what_was_so_when_it_was_asked_for() {
    let mut stage = Stage::following();
    stage.follower.request(stage.now);
    let sent_at = stage.now;
    stage.passes(10_000);
    // It spent ten seconds on its way, and nobody can tell on which.
    stage.takes(opening("log-2", 0, 0, sent_at));
    assert_eq!(stage.state(), FeedState::Stale);
}

#[test]
fn a_heartbeat_within_a_snapshot_proves_nothing() {
    let mut stage = Stage::new();
    stage.opens(0, 9);
    stage.takes(sessions(0, 3));
    assert_eq!(stage.takes(heartbeat(12, stage.now)).seen_at, None);
    assert_eq!(stage.state(), FeedState::NoSnapshot);
}

#[test]
fn a_snapshot_that_takes_long_is_one_and_stale_until_the_next_heartbeat() {
    let mut stage = Stage::new();
    stage.opens(0, 2);
    stage.takes(sessions(0, 1));
    stage.passes(5_000);
    assert!(stage.takes(sessions(1, 2)).snapshot_ends);
    assert_eq!(stage.state(), FeedState::Stale);
    stage.takes(heartbeat(2, stage.now));
    assert_eq!(stage.state(), FeedState::Following);
}

#[test]
fn an_issuer_whose_clock_is_set_back_is_asked_again_and_believed() {
    let mut stage = Stage::following();
    stage.passes(1_000);
    let back = stage.now - at_ms(9_000);
    stage.gives_up(heartbeat(5, back), "late");
    stage.follower.request(stage.now);
    stage.takes(opening(LOG, 5, 5, back));
    stage.takes(heartbeat(5, back));
    assert_eq!(stage.state(), FeedState::Following);
}

/// What may be done to a stream on its way.
#[derive(Clone, Debug)]
enum Step {
    Revoke(u64),
    Deliver,
    Twice,
    Lose,
    Swap,
    Cut,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_u64).prop_map(Step::Revoke),
        6 => Just(Step::Deliver),
        1 => Just(Step::Twice),
        1 => Just(Step::Lose),
        1 => Just(Step::Swap),
        1 => Just(Step::Cut),
        2 => (0..2_000_u64).prop_map(Step::Wait),
    ]
}

/// A log, a stream of it, and what a follower made of that.
struct World {
    stage: Stage,
    /// When each number of the log was committed.
    committed: Vec<Duration>,
    wire: Vec<WatchResponse>,
    sent: u64,
    held: std::collections::BTreeSet<u128>,
    aside: std::collections::BTreeSet<u128>,
}

impl World {
    fn reconnect(&mut self) {
        let request = self.stage.follower.request(self.stage.now);
        self.aside.clear();
        let head = self.committed.len() as u64;
        self.wire = vec![opening(LOG, request.after_seq, head, self.stage.now)];
        self.sent = request.after_seq;
        self.send();
    }

    fn send(&mut self) {
        let head = self.committed.len() as u64;
        if self.sent < head {
            self.wire.push(sessions(self.sent, head));
            self.sent = head;
        }
        self.wire.push(heartbeat(head, self.stage.now));
    }

    fn deliver(&mut self, message: WatchResponse) {
        let is_collecting = self.stage.follower.is_collecting();
        let Ok(effects) = self.stage.follower.apply(message, self.stage.now, ROOM) else {
            return self.reconnect();
        };
        let aside = effects.snapshot_begins || is_collecting;
        let into = if aside {
            &mut self.aside
        } else {
            &mut self.held
        };
        into.extend(effects.revoked.iter().map(|revoked| match revoked.target {
            message::Target::Session(name) => name,
            _ => unreachable!("this log revokes sessions"),
        }));
        if effects.snapshot_ends {
            self.held = std::mem::take(&mut self.aside);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Revoke(count) => {
                self.committed.extend((0..count).map(|_| self.stage.now));
                self.send();
            }
            Step::Wait(ms) => {
                self.stage.passes(ms);
                self.send();
            }
            Step::Cut => self.reconnect(),
            Step::Swap if self.wire.len() > 1 => self.wire.swap(0, 1),
            _ if self.wire.is_empty() => {}
            Step::Lose => drop(self.wire.remove(0)),
            Step::Twice => self.deliver(self.wire[0].clone()),
            Step::Deliver | Step::Swap => {
                let message = self.wire.remove(0);
                self.deliver(message);
            }
        }
    }

    /// Whoever says "following" has everything that is older than the timeout.
    fn check(&self) {
        if self.stage.state() != FeedState::Following {
            return;
        }
        for (seq, at) in (1_u128..).zip(&self.committed) {
            let is_due = *at + TIMEOUT <= self.stage.now;
            assert!(!is_due || self.held.contains(&seq), "{seq} was missed");
        }
    }
}

proptest! {
    #[test]
    fn never_misses_a_revocation_while_it_says_it_follows(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut world = World {
            stage: Stage::new(),
            committed: Vec::new(),
            wire: Vec::new(),
            sent: 0,
            held: Default::default(),
            aside: Default::default(),
        };
        world.reconnect();
        for step in steps {
            world.step(step);
            world.check();
        }
        // And on a good wire it has all of it in the end.
        world.reconnect();
        while !world.wire.is_empty() {
            world.step(Step::Deliver);
        }
        prop_assert_eq!(world.held.len(), world.committed.len());
        prop_assert_eq!(world.stage.state(), FeedState::Following);
    }
}
