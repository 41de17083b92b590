use super::*;

#[test]
fn finds_a_sessions_entries_and_no_others() {
    let index = Arc::new(BySession::default());
    let places: Vec<_> = (0..100_u128)
        .flat_map(|session| {
            [
                index.insert(session, session),
                index.insert(session, session),
            ]
        })
        .collect();
    for session in 0..100 {
        let found: Vec<_> = index.of(session).iter().map(|entry| **entry).collect();
        assert_eq!(found, [session, session]);
    }
    assert!(index.of(100).is_empty());
    assert_eq!(index.matching(|entry| *entry < 10).count(), 20);
    assert_eq!((index.len(), places.len()), (200, 200));
}

#[test]
fn an_entry_leaves_with_its_place() {
    let index = Arc::new(BySession::default());
    let (first, second) = (index.insert(u128::MAX, 1), index.insert(u128::MAX, 2));
    drop(first);
    assert_eq!((*index.of(u128::MAX)[0], index.len()), (2, 1));
    drop(second);
    assert!(index.of(u128::MAX).is_empty());
    assert_eq!(index.len(), 0);
}
