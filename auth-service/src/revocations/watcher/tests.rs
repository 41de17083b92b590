use super::*;
use crate::fixtures::start;
use crate::revocations::{RevocationTarget, Tail};

const LIMIT: u32 = 3;

fn entry(seq: u64) -> Revocation {
    Revocation {
        seq,
        target: RevocationTarget::Key(format!("key-{seq}")),
        revoked_at: start(),
        expires_at_s: 0,
    }
}

fn head(seq: u64) -> Head {
    let log_id = LogId::new("this");
    Head { log_id, seq }
}

fn resume(log_id: &str, after_seq: u64) -> Resume {
    let log_id = log_id.to_owned();
    Resume { log_id, after_seq }
}

fn batch(after_seq: u64, through_seq: u64) -> Batch {
    Batch {
        after_seq,
        through_seq,
        entries: (after_seq + 1..=through_seq).map(entry).collect(),
    }
}

/// What a log of these entries answers.
fn read(log: &[u64], after: u64) -> Vec<Revocation> {
    let later = log.iter().filter(|seq| **seq > after);
    later.take(LIMIT as usize).map(|seq| entry(*seq)).collect()
}

fn check_opening(asked: Resume, at: u64, after_seq: u64) {
    let (watcher, opening) = Watcher::open(&asked, head(at));
    assert_eq!((opening.after_seq, opening.head_seq), (after_seq, at));
    assert_eq!(watcher.must_read(), (after_seq < at).then_some(after_seq));
}

#[test]
fn resumes_what_it_can_and_begins_anew_otherwise() {
    check_opening(resume("", 0), 7, 0);
    check_opening(resume("this", 0), 7, 0);
    check_opening(resume("this", 5), 7, 5);
    check_opening(resume("this", 7), 7, 7);
    check_opening(resume("this", 8), 7, 0);
    check_opening(resume("this", u64::MAX), 7, 0);
    check_opening(resume("other", 5), 7, 0);
    check_opening(resume("", 5), 7, 0);
    check_opening(resume("", 0), 0, 0);
}

/// Reads until the tail is of use, and gives all batches.
fn catch_up(watcher: &mut Watcher, log: &[u64]) -> Vec<Batch> {
    let mut batches = Vec::new();
    while let Some(after) = watcher.must_read() {
        batches.push(watcher.read(read(log, after), LIMIT));
    }
    batches
}

#[track_caller]
fn check_bounds(batches: &[Batch], expected: &[(u64, u64, usize)]) {
    let bounds = batches
        .iter()
        .map(|it| (it.after_seq, it.through_seq, it.entries.len()));
    assert_eq!(bounds.collect::<Vec<_>>(), expected);
}

#[test]
fn a_snapshot_goes_through_to_the_head_over_numbers_that_were_dropped() {
    let (mut watcher, _) = Watcher::open(&resume("", 0), head(20));
    let batches = catch_up(&mut watcher, &[2, 3, 8, 9, 15]);
    check_bounds(&batches, &[(0, 8, 3), (8, 20, 2)]);

    let (mut watcher, _) = Watcher::open(&resume("", 0), head(20));
    check_bounds(&catch_up(&mut watcher, &[]), &[(0, 20, 0)]);
}

#[test]
fn a_full_read_promises_nothing_beyond_its_last_entry() {
    let (mut watcher, _) = Watcher::open(&resume("", 0), head(6));
    let batches = catch_up(&mut watcher, &[4, 5, 6]);
    check_bounds(&batches, &[(0, 6, 3)]);
    let (mut watcher, _) = Watcher::open(&resume("", 0), head(3));
    let batches = catch_up(&mut watcher, &[4, 5, 6, 7]);
    check_bounds(&batches, &[(0, 6, 3)]);
}

#[test]
fn what_the_ring_repeats_is_known_or_cut() {
    let (mut watcher, _) = Watcher::open(&resume("this", 5), head(5));
    assert_eq!(watcher.batch(&batch(2, 5)), Told::Known);
    assert_eq!(watcher.batch(&batch(3, 7)), Told::Cut(batch(5, 7)));
    assert_eq!(watcher.batch(&batch(7, 9)), Told::Pass);
    assert_eq!(watcher.batch(&batch(7, 9)), Told::Known);
    assert_eq!(watcher.must_read(), None);
}

#[test]
fn what_the_ring_lacks_is_read() {
    let (mut watcher, _) = Watcher::open(&resume("this", 5), head(5));
    assert_eq!(watcher.batch(&batch(7, 9)), Told::Gap);
    let batches = catch_up(&mut watcher, &[6, 7, 8, 9]);
    check_bounds(&batches, &[(5, 8, 3), (8, 9, 1)]);
    assert_eq!(watcher.heartbeat(11, Duration::ZERO), Told::Gap);
    assert_eq!(watcher.must_read(), Some(9));
}

#[test]
fn an_old_heartbeat_is_not_passed_on() {
    let (mut watcher, _) = Watcher::open(&resume("this", 5), head(5));
    assert_eq!(watcher.heartbeat(5, MAX_HEARTBEAT_AGE), Told::Pass);
    let too_old = MAX_HEARTBEAT_AGE + Duration::from_millis(1);
    assert_eq!(watcher.heartbeat(5, too_old), Told::Known);
}

#[test]
fn the_tail_beats_once_a_second_and_only_when_nothing_is_left_to_tell() {
    let second = |n| Duration::from_secs(n);
    let mut tail = Tail::new(head(5));
    assert_eq!(tail.heartbeat(&head(5), second(0)), Some(5));
    assert_eq!(tail.heartbeat(&head(5), Duration::from_millis(999)), None);
    assert_eq!(tail.heartbeat(&head(6), second(1)), None);
    assert_eq!(tail.read(6, read(&[6], 5), LIMIT), Some(batch(5, 6)));
    assert_eq!(tail.heartbeat(&head(6), second(1)), Some(6));
    assert_eq!(tail.read(6, vec![], LIMIT), None);
}

#[test]
fn the_tail_notices_another_log_and_an_older_state() {
    let tail = Tail::new(head(5));
    assert!(tail.is_of(&head(5)));
    assert!(tail.is_of(&head(6)));
    assert!(!tail.is_of(&head(4)));
    let log_id = LogId::new("other");
    assert!(!tail.is_of(&Head { log_id, seq: 6 }));
}

/// However a snapshot, the ring and gaps in it interleave, each entry comes once and in
/// order, and the bounds of batches meet.
#[test]
fn nothing_is_skipped_or_repeated_whatever_interleaves() {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    for seed in 0..2_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut log: Vec<u64> = Vec::new();
        let mut last = 0;
        let mut grow = |log: &mut Vec<u64>, random: &mut StdRng| {
            for _ in 0..random.random_range(0..5) {
                last += random.random_range(1..3);
                log.push(last);
            }
            last
        };
        let mut at = grow(&mut log, &mut random);
        let mut tail = Tail::new(head(at));
        let mut ring = Vec::new();
        let mut tell = |at: u64, log: &[u64], ring: &mut Vec<Batch>| {
            while tail.is_behind(&head(at)) {
                ring.extend(tail.read(at, read(log, tail.seq()), LIMIT));
            }
        };
        for _ in 0..random.random_range(0..3) {
            at = grow(&mut log, &mut random);
            tell(at, &log, &mut ring);
        }
        if random.random_ratio(1, 4) {
            ring.clear();
        }
        let asked = resume("this", random.random_range(0..=at));
        let (mut watcher, opening) = Watcher::open(&asked, head(at));
        let mut sent = Vec::new();
        for _ in 0..4 {
            at = grow(&mut log, &mut random);
            tell(at, &log, &mut ring);
            sent.extend(catch_up(&mut watcher, &log));
            for told in ring.drain(..) {
                match watcher.batch(&told) {
                    Told::Pass => sent.push(told),
                    Told::Cut(cut) => sent.push(cut),
                    Told::Known => {}
                    Told::Gap => sent.extend(catch_up(&mut watcher, &log)),
                }
            }
        }
        let mut through = opening.after_seq;
        for batch in &sent {
            assert_eq!(batch.after_seq, through, "seed {seed}");
            through = batch.through_seq;
        }
        let seqs = sent.iter().flat_map(|it| &it.entries).map(|it| it.seq);
        let expected = log.iter().copied().filter(|seq| *seq > opening.after_seq);
        assert_eq!(
            seqs.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "seed {seed}"
        );
    }
}
