use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

fn entry(name: u128, expires_at_s: u32, issued_before_s: u32) -> Entry {
    Entry {
        name,
        expires_at_s,
        issued_before_s,
    }
}

#[test]
fn finds_what_was_inserted_and_nothing_else() {
    let table = Table::for_entries(3);
    for name in [0, 1, u128::MAX] {
        assert_eq!(table.issued_before(name), None);
        assert_eq!(table.insert(entry(name, 9, EVERYTHING)), Inserted::New);
        assert_eq!(table.issued_before(name), Some(EVERYTHING));
    }
    assert_eq!(table.issued_before(2), None);
    // One half alone is another name.
    assert_eq!(table.issued_before(u128::from(u64::MAX)), None);
    assert_eq!(table.issued_before(u128::MAX << 64), None);
}

#[test]
fn a_second_entry_of_a_name_only_lengthens_and_widens() {
    let table = Table::for_entries(1);
    table.insert(entry(7, 100, 50));
    let again = table.insert(entry(7, 90, 60));
    assert_eq!(again, Inserted::Merged { expired_at_s: 100 });
    table.insert(entry(7, 110, 40));
    assert_eq!(table.entries().collect::<Vec<_>>(), [entry(7, 110, 60)]);
}

#[test]
fn holds_what_it_says_at_any_size() {
    for entries in (0..200).chain([1_000, 4_097, 100_000]) {
        let table = Table::for_entries(entries);
        assert!(table.room() >= entries, "{entries}");
        for name in 0..table.room() {
            table.insert(entry(name as u128, 1, 1));
        }
        let all = (0..table.room()).all(|name| table.issued_before(name as u128) == Some(1));
        assert!(all, "{entries}");
        assert_eq!(table.issued_before(u128::MAX), None);
    }
}

#[test]
fn readers_see_whole_entries_while_they_are_written() {
    const ENTRIES: u32 = 20_000;
    let table = Table::for_entries(ENTRIES as usize);
    let is_done = AtomicBool::new(false);
    // The value tells the name: a reader who sees one without the other notices.
    let name = |n: u32| u128::from(n) << 64 | u128::from(n.rotate_left(7));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    for n in 1..ENTRIES {
                        let found = table.issued_before(name(n));
                        assert!(found.is_none_or(|found| found == n));
                    }
                }
            });
        }
        for n in 1..ENTRIES {
            table.insert(entry(name(n), 5, n));
            assert_eq!(table.issued_before(name(n)), Some(n));
        }
        is_done.store(true, Ordering::Relaxed);
    });
}

proptest! {
    #[test]
    fn is_a_map_of_maxima(inserted in prop::collection::vec((0..50_u128, 1..9_u32, 0..9_u32), 0..200)) {
        let table = Table::for_entries(50);
        let mut map: HashMap<u128, (u32, u32)> = HashMap::new();
        for (name, expires, before) in inserted {
            table.insert(entry(name << 60, expires, before));
            let known = map.entry(name << 60).or_default();
            *known = (known.0.max(expires), known.1.max(before));
        }
        prop_assert_eq!(table.entries().count(), map.len());
        for found in table.entries() {
            prop_assert_eq!(map[&found.name], (found.expires_at_s, found.issued_before_s));
        }
    }
}
