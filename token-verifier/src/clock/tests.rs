use std::time::Duration;

use jiff::SignedDuration;

use super::*;

#[test]
fn manual_clock_moves_both_ways_and_is_shared() {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let other = clock.clone();
    clock.advance(Duration::from_secs(10));
    other.advance(SignedDuration::from_secs(-3));
    assert_eq!(clock.now().as_second(), 7);
    clock.set(Timestamp::UNIX_EPOCH);
    assert_eq!(other.now(), Timestamp::UNIX_EPOCH);
}

#[test]
fn system_clock_is_past_the_day_this_was_written() {
    assert!(SystemClock.now().as_second() > 1_700_000_000);
}

#[test]
fn correcting_the_wall_clock_passes_no_time() {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    clock.advance(Duration::from_secs(60));
    clock.set(Timestamp::UNIX_EPOCH);
    clock.advance(SignedDuration::from_secs(-3600));
    assert_eq!(clock.now().as_second(), -3600);
    assert_eq!(clock.monotonic(), Duration::from_secs(60));
}

#[test]
fn the_machines_monotonic_clock_goes_forwards_from_the_first_look() {
    let first = SystemClock.monotonic();
    let second = SystemClock.monotonic();
    assert!(first <= second && second < Duration::from_secs(60 * 60));
}
