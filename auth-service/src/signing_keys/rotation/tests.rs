mod instances;

use jiff::Timestamp;

use super::*;
use crate::store::SigningKeyRecord;

const HOUR: Duration = Duration::from_secs(60 * 60);
const SCHEDULE: Schedule = Schedule {
    rotate_every: Duration::from_secs(24 * 60 * 60),
    publish_before: Duration::from_secs(10 * 60),
    retire_after: Duration::from_secs(6 * 60),
};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_second(1_900_000_000 + seconds.cast_signed()).unwrap()
}

fn record(kid: &str, state: SigningKeyState, since: u64) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: kid.to_owned(),
        algorithm: "EdDSA".to_owned(),
        state,
        public_key: Vec::new(),
        encrypted_private_key: String::new(),
        created_at: at(since),
        activated_at: (state != SigningKeyState::Upcoming).then(|| at(since)),
        retiring_at: (state == SigningKeyState::Retiring).then(|| at(since)),
    }
}

fn age(kid: &str, state: SigningKeyState, minutes: u64) -> KeyAge<'_> {
    let age = Duration::from_secs(minutes * 60);
    KeyAge {
        kid,
        state,
        published_for: age,
        in_state_for: age,
    }
}

fn active(kid: &str, minutes: u64) -> KeyAge<'_> {
    age(kid, SigningKeyState::Active, minutes)
}

fn upcoming(kid: &str, minutes: u64) -> KeyAge<'_> {
    age(kid, SigningKeyState::Upcoming, minutes)
}

fn retiring(kid: &str, minutes: u64) -> KeyAge<'_> {
    age(kid, SigningKeyState::Retiring, minutes)
}

#[track_caller]
fn check(keys: &[KeyAge<'_>], expected: &[&str]) {
    let shown = |step: &Step| match step {
        Step::CreateActive => "create".to_owned(),
        Step::Publish { active } => format!("publish after {active}"),
        Step::Activate { kid, retires } => format!("{kid} for {retires:?}"),
        Step::Delete { kid } => format!("delete {kid}"),
    };
    let steps: Vec<_> = plan(keys, &SCHEDULE).iter().map(shown).collect();
    assert_eq!(steps, expected);
}

#[test]
fn publishes_the_next_key_before_its_time() {
    check(&[active("a", 0)], &[]);
    check(&[active("a", 24 * 60 - 11)], &[]);
    check(&[active("a", 24 * 60 - 10)], &["publish after a"]);
    check(&[active("a", 24 * 60 * 30)], &["publish after a"]);
}

#[test]
fn a_key_signs_once_it_was_published_for_long_enough() {
    check(&[active("a", 24 * 60 - 1), upcoming("b", 9)], &[]);
    check(
        &[active("a", 24 * 60), upcoming("b", 10)],
        &[r#"b for Some("a")"#],
    );
    check(
        &[active("a", 1), upcoming("b", 10)],
        &[r#"b for Some("a")"#],
    );
}

#[test]
fn a_key_is_deleted_once_what_it_signed_has_expired() {
    check(&[retiring("a", 5), active("b", 5)], &[]);
    check(&[retiring("a", 6), active("b", 6)], &["delete a"]);
    check(
        &[retiring("a", 9), retiring("b", 6), active("c", 1)],
        &["delete a", "delete b"],
    );
}

#[test]
fn something_always_signs() {
    check(&[], &["create"]);
    check(&[retiring("a", 1)], &["create"]);
    check(&[upcoming("a", 0), upcoming("b", 2)], &["b for None"]);
}

#[test]
fn publishes_no_more_than_verifiers_hold() {
    let kids: Vec<String> = (0..MAX_PUBLISHED - 1)
        .map(|index| index.to_string())
        .collect();
    let mut keys: Vec<_> = kids.iter().map(|kid| retiring(kid, 1)).collect();
    keys.push(active("a", 48 * 60));
    check(&keys, &[]);
    keys.remove(0);
    check(&keys, &["publish after a"]);
}

#[test]
fn tells_when_a_key_changes() {
    let wait = |key: KeyAge<'_>, has_upcoming| {
        next_change_in(&key, has_upcoming, &SCHEDULE).map(|wait| wait.as_secs() / 60)
    };
    assert_eq!(wait(upcoming("a", 4), true), Some(6));
    assert_eq!(wait(active("a", 60), false), Some(23 * 60));
    assert_eq!(wait(active("a", 60), true), None);
    assert_eq!(wait(retiring("a", 60), false), Some(0));
}

#[test]
fn rows_are_believed_at_the_start_and_never_again() {
    let mut sightings = Sightings::default();
    let old = record("old", SigningKeyState::Active, 0);
    let day = 24 * 60 * 60;
    sightings.note(std::slice::from_ref(&old), at(day), Duration::ZERO);
    let ages = sightings.ages(std::slice::from_ref(&old), HOUR);
    assert_eq!(ages[0].in_state_for, Duration::from_secs(day) + HOUR);

    // Made by an instance whose clock was an hour slow.
    let rows = [old, record("new", SigningKeyState::Upcoming, day - 3600)];
    sightings.note(&rows, at(day), HOUR);
    let ages = sightings.ages(&rows, HOUR + Duration::from_secs(1));
    assert_eq!(ages[1].published_for, Duration::from_secs(1));
}

#[test]
fn a_wall_clock_that_jumps_makes_nothing_older() {
    let mut sightings = Sightings::default();
    let rows = [
        record("a", SigningKeyState::Active, 0),
        record("b", SigningKeyState::Upcoming, 0),
    ];
    sightings.note(&rows, at(0), Duration::ZERO);
    for wall in [3600, 0, 7200] {
        sightings.note(&rows, at(wall), Duration::from_secs(1));
        let ages = sightings.ages(&rows, Duration::from_secs(1));
        assert_eq!(ages[1].published_for, Duration::from_secs(1));
        assert_eq!(plan(&ages, &SCHEDULE), []);
    }
}

#[test]
fn a_row_from_the_future_is_new() {
    let mut sightings = Sightings::default();
    let rows = [record("a", SigningKeyState::Upcoming, 7200)];
    sightings.note(&rows, at(0), Duration::ZERO);
    assert_eq!(
        sightings.ages(&rows, Duration::ZERO)[0].published_for,
        Duration::ZERO
    );
}

#[test]
fn a_restart_keeps_a_retiring_key_for_its_whole_time() {
    let mut sightings = Sightings::default();
    let rows = [
        record("a", SigningKeyState::Retiring, 0),
        record("b", SigningKeyState::Active, 0),
    ];
    sightings.note(&rows, at(3600), Duration::ZERO);
    assert_eq!(plan(&sightings.ages(&rows, Duration::ZERO), &SCHEDULE), []);
    let ages = sightings.ages(&rows, SCHEDULE.retire_after);
    assert_eq!(plan(&ages, &SCHEDULE).len(), 1);
}

#[test]
fn a_restart_with_a_fast_clock_brings_no_key_forward() {
    let mut sightings = Sightings::default();
    let rows = [
        record("a", SigningKeyState::Active, 0),
        record("b", SigningKeyState::Upcoming, 0),
    ];
    sightings.note(&rows, at(3600), Duration::ZERO);
    assert_eq!(plan(&sightings.ages(&rows, Duration::ZERO), &SCHEDULE), []);
    let ages = sightings.ages(&rows, SCHEDULE.publish_before);
    assert_eq!(plan(&ages, &SCHEDULE).len(), 1);
}
