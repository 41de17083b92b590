use proptest::prelude::*;

use super::*;
use crate::revocations::table::EVERYTHING;

fn entry(name: u128, expires_at_s: u32) -> Entry {
    Entry {
        name,
        expires_at_s,
        issued_before_s: EVERYTHING,
    }
}

fn holds(entries: &Entries, name: u128) -> bool {
    entries.table().issued_before(name).is_some()
}

#[test]
fn grows_and_loses_nothing() {
    let mut entries = Entries::default();
    for name in 0..10_000 {
        entries.insert(entry(name, 1 + (name as u32 % 7)));
    }
    assert_eq!(entries.live(), 10_000);
    assert!((0..10_000).all(|name| holds(&entries, name)));
}

#[test]
fn a_reader_of_the_table_before_still_reads() {
    let mut entries = Entries::default();
    entries.insert(entry(1, 5));
    let before = Arc::clone(entries.table());
    for name in 2..1_000 {
        entries.insert(entry(name, 5));
    }
    assert!(!Arc::ptr_eq(&before, entries.table()));
    assert!(before.issued_before(1).is_some());
}

#[test]
fn forgets_what_has_expired_once_it_is_the_half() {
    let mut entries = Entries::default();
    for name in 0..3_000 {
        entries.insert(entry(name, if name < 2_000 { 10 } else { 20 }));
    }
    let memory = entries.table().memory_bytes();
    entries.expire(9);
    assert_eq!(entries.live(), 3_000);
    entries.expire(10);
    assert_eq!(entries.live(), 1_000);
    assert!(!holds(&entries, 0));
    assert!((2_000..3_000).all(|name| holds(&entries, name)));
    assert!(entries.table().memory_bytes() < memory);
    entries.expire(20);
    assert_eq!(entries.live(), 0);
}

#[test]
fn an_entry_that_is_lengthened_is_counted_once() {
    let mut entries = Entries::default();
    entries.insert(entry(1, 10));
    entries.insert(entry(1, 20));
    entries.insert(entry(1, 15));
    assert_eq!(entries.live(), 1);
    entries.expire(10);
    assert_eq!(entries.live(), 1);
    entries.expire(20);
    assert_eq!(entries.live(), 0);
    // Back from among the expired.
    entries.insert(entry(1, 30));
    assert_eq!(entries.live(), 1);
}

#[test]
fn a_million_entries_take_less_than_64_bytes_each() {
    let mut entries = Entries::default();
    for name in 1..=1_000_000 {
        entries.insert(entry(name << 40, 10));
        if name % 4_096 == 0 || name == 1_000_000 {
            let bytes = entries.table().memory_bytes();
            assert!(bytes < 64 * name as usize, "{bytes} for {name}");
        }
    }
    assert_eq!(entries.live(), 1_000_000);
}

#[test]
fn a_time_that_is_set_back_loses_no_count_and_no_room() {
    let mut entries = Entries::default();
    for round in 0..20 {
        for name in 0..2_000 {
            entries.insert(entry(round * 2_000 + name, 100));
        }
        entries.expire(if round % 2 == 0 { 100 } else { 50 });
    }
    // The last set-back found these in the table, whatever was counted before.
    assert!((38_000..40_000).all(|name| holds(&entries, name)));
    entries.expire(100);
    assert_eq!(entries.live(), 0);
}

proptest! {
    #[test]
    fn what_is_alive_is_held_and_counted(
        steps in prop::collection::vec((0..2_000_u128, 1..40_u32, 0..40_u32), 1..1_500)
    ) {
        let mut entries = Entries::default();
        let mut model = std::collections::HashMap::<u128, u32>::new();
        let mut now = 0;
        for (name, lives, passed) in steps {
            if passed == 0 {
                now += 1;
                entries.expire(now);
                model.retain(|_, expires| *expires > now);
            }
            let expires = now + lives;
            entries.insert(entry(name, expires));
            let known = model.entry(name).or_default();
            *known = expires.max(*known);
        }
        prop_assert_eq!(entries.live(), model.len());
        prop_assert!(model.keys().all(|name| holds(&entries, *name)));
    }
}

#[test]
fn what_a_clock_that_was_set_back_revives_is_counted_and_finds_room() {
    let mut entries = Entries::default();
    for name in 0..1_000 {
        entries.insert(entry(name, 4_000));
    }
    entries.expire(4_000);
    assert_eq!(entries.live(), 0);
    entries.expire(400);
    assert_eq!(entries.live(), 1_000);
    for name in 1_000..5_000 {
        entries.insert(entry(name, 760));
    }
    assert_eq!(entries.live(), 5_000);
    assert!((0..5_000).all(|name| holds(&entries, name)));
}
