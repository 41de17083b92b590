//! The revocation log on every store: what ends a session says so, in the same step.

use std::time::Duration;

use super::accounts::change;
use super::*;
use crate::revocations::entry::ENTRY_LIFE;
use crate::revocations::{RevocationTarget, RevocationTarget::Session as Ended};

on_every_store!(
    a_new_log_is_empty,
    every_way_to_end_a_session_is_in_the_log,
    what_ends_nothing_appends_nothing,
    the_oldest_past_the_limit_is_in_the_log,
    a_session_that_is_replaced_is_in_the_log,
    expired_sessions_are_in_the_log_while_tokens_may_live,
    a_subject_is_revoked_with_its_sessions,
    a_disabled_account_has_no_session_and_gets_none,
    a_read_goes_on_where_the_last_one_ended,
    dropped_entries_leave_the_head_where_it_is,
    entries_outlive_a_clock_that_was_ahead,
    an_append_is_announced,
);

fn after(seconds: u64) -> Timestamp {
    start() + Duration::from_secs(seconds)
}

async fn log(store: &impl Store) -> Vec<RevocationTarget> {
    let entries = store.read_after(0, 1000).await.unwrap();
    let head = store.head().await.unwrap();
    assert_eq!(entries.last().map_or(0, |entry| entry.seq), head.seq);
    assert!(entries.is_sorted_by(|one, next| one.seq < next.seq));
    entries.into_iter().map(|entry| entry.target).collect()
}

async fn signed_in(store: &impl Store, account: &Account, now: Timestamp) -> NewSession {
    let session = user_session(&account.subject, now);
    let done = store.sign_in(&session, &phc("first"), None).await.unwrap();
    assert!(matches!(done, SignedIn::Done { .. }));
    session
}

async fn a_new_log_is_empty(store: &impl Store) {
    assert_eq!(log(store).await, []);
    let head = store.head().await.unwrap();
    assert_eq!((head.seq, head.log_id.as_str().len()), (0, 32));
}

async fn every_way_to_end_a_session_is_in_the_log(store: &impl Store) {
    let (ann, first) = registered(store, "ann@example.com").await;
    let second = signed_in(store, &ann, after(1)).await;
    let third = signed_in(store, &ann, after(2)).await;
    let fourth = signed_in(store, &ann, after(3)).await;
    let fifth = signed_in(store, &ann, after(4)).await;

    store.sign_out(&second.secret_hash, after(5)).await.unwrap();
    store
        .end_session_of(&ann.subject, third.session.id, after(5))
        .await
        .unwrap();
    store
        .end_other_sessions(&ann.subject, fifth.session.id, after(5))
        .await
        .unwrap();
    let mut others = [first.session.id, fourth.session.id];
    others.sort_by_key(ToString::to_string);
    let sixth = signed_in(store, &ann, after(6)).await;
    store
        .change_password(&change(&fifth, &phc("first")))
        .await
        .unwrap();
    store
        .revoke_session(fifth.session.id, after(8))
        .await
        .unwrap();
    let mut found = log(store).await;
    found[2..4].sort_by_key(|target| format!("{target:?}"));
    let mut expected = vec![Ended(second.session.id), Ended(third.session.id)];
    expected.extend(others.map(Ended));
    expected.extend([Ended(sixth.session.id), Ended(fifth.session.id)]);
    expected[2..4].sort_by_key(|target| format!("{target:?}"));
    assert_eq!(found, expected);

    let entries = store.read_after(0, 1).await.unwrap();
    assert_eq!(entries[0].revoked_at, after(5));
    let life = entries[0].expires_at_s - after(5).as_second();
    assert_eq!(life, ENTRY_LIFE.as_secs().cast_signed() + 1);
}

async fn what_ends_nothing_appends_nothing(store: &impl Store) {
    let (ann, first) = registered(store, "ann@example.com").await;
    let stranger = guest_session(start());
    let (secret, id) = (&stranger.secret_hash, stranger.session.id);
    assert_eq!(store.end_session(secret, start()).await.unwrap(), None);
    assert_eq!(store.sign_out(secret, start()).await.unwrap(), None);
    let ended = store.end_session_of(&ann.subject, id, start()).await;
    assert!(!ended.unwrap());
    let ended = store.end_other_sessions(&ann.subject, id, start()).await;
    assert_eq!(ended.unwrap(), None);
    assert!(!store.revoke_session(id, start()).await.unwrap());
    let nobody = &stranger.session.subject;
    assert_eq!(store.disable_account(nobody, start()).await.unwrap(), None);
    let stale = change(&first, &phc("second"));
    let stale = PasswordChange {
        verified: phc("stale"),
        ..stale
    };
    let changed = store.change_password(&stale).await.unwrap();
    assert_eq!(changed, PasswordChanged::Gone);
    assert_eq!(log(store).await, []);
}

async fn the_oldest_past_the_limit_is_in_the_log(store: &impl Store) {
    let (ann, first) = registered(store, "ann@example.com").await;
    for n in 1..=u64::from(MAX_SESSIONS_PER_SUBJECT) {
        assert_eq!(log(store).await, []);
        signed_in(store, &ann, after(n)).await;
    }
    assert_eq!(log(store).await, [Ended(first.session.id)]);
}

async fn a_session_that_is_replaced_is_in_the_log(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    let ann = account("ann@example.com");
    let mut session = user_session(&ann.subject, after(1));
    session.replaces = Some(guest.secret_hash);
    store.register(&ann, &session).await.unwrap();
    assert_eq!(log(store).await, [Ended(guest.session.id)]);

    let mut again = user_session(&ann.subject, after(2));
    again.replaces = Some(session.secret_hash);
    store.sign_in(&again, &phc("first"), None).await.unwrap();
    let expected = [Ended(guest.session.id), Ended(session.session.id)];
    assert_eq!(log(store).await, expected);
    let last = store.read_after(1, 1).await.unwrap();
    assert_eq!(last[0].revoked_at, after(2));
}

async fn expired_sessions_are_in_the_log_while_tokens_may_live(store: &impl Store) {
    let mut idle = guest_session(start());
    idle.session.expires_at = after(100);
    let mut long_idle = guest_session(start());
    long_idle.session.expires_at = start();
    let mut over = guest_session(start());
    over.session.expires_at = after(100);
    over.session.absolute_expires_at = after(100);
    for session in [&idle, &long_idle, &over] {
        store.create_session(session).await.unwrap();
    }
    let now = start() + ENTRY_LIFE;
    let ended = store.end_expired_sessions(now, 10).await.unwrap();
    assert_eq!(ended.len(), 3);
    assert_eq!(log(store).await, [Ended(idle.session.id)]);
}

async fn a_subject_is_revoked_with_its_sessions(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    let subject = &guest.session.subject;
    let now = start() + Duration::from_millis(1_700);
    let ended = store.revoke_subject(subject, now).await.unwrap();
    assert_eq!(ended, [guest.session.id]);
    let revoked = RevocationTarget::Subject {
        subject: subject.clone(),
        issued_before_s: start().as_second() + 1,
    };
    assert_eq!(log(store).await, [revoked.clone(), Ended(guest.session.id)]);
    // Tokens may be alive though no session is.
    assert_eq!(store.revoke_subject(subject, now).await.unwrap(), []);
    assert_eq!(log(store).await.last(), Some(&revoked));
}

async fn a_disabled_account_has_no_session_and_gets_none(store: &impl Store) {
    let (ann, first) = registered(store, "ann@example.com").await;
    let now = start() + Duration::from_millis(1_700);
    let ended = store.disable_account(&ann.subject, now).await.unwrap();
    assert_eq!(ended, Some(vec![first.session.id]));
    let revoked = RevocationTarget::Subject {
        subject: ann.subject.clone(),
        issued_before_s: start().as_second() + 1,
    };
    assert_eq!(log(store).await, [revoked, Ended(first.session.id)]);

    let session = user_session(&ann.subject, now);
    let refused = store.sign_in(&session, &phc("first"), None).await.unwrap();
    assert_eq!(refused, SignedIn::AccountChanged);
    let again = store.disable_account(&ann.subject, after(9)).await.unwrap();
    assert_eq!(again, Some(vec![]));
    let found = store.find_account(&ann.subject).await.unwrap().unwrap();
    assert_eq!(found.disabled_at, Some(now));

    assert!(store.enable_account(&ann.subject).await.unwrap());
    signed_in(store, &ann, after(10)).await;
    let nobody = guest_session(start()).session.subject;
    assert!(!store.enable_account(&nobody).await.unwrap());
}

async fn end_guests(store: &impl Store, count: u64) {
    for n in 0..count {
        let guest = guest_session(start());
        store.create_session(&guest).await.unwrap();
        store
            .end_session(&guest.secret_hash, after(n))
            .await
            .unwrap();
    }
}

async fn a_read_goes_on_where_the_last_one_ended(store: &impl Store) {
    end_guests(store, 5).await;
    let mut seqs = Vec::new();
    loop {
        let after = seqs.last().copied().unwrap_or(0);
        let entries = store.read_after(after, 2).await.unwrap();
        if entries.is_empty() {
            break;
        }
        seqs.extend(entries.into_iter().map(|entry| entry.seq));
    }
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    assert_eq!(store.read_after(u64::MAX, 2).await.unwrap(), []);
}

async fn dropped_entries_leave_the_head_where_it_is(store: &impl Store) {
    end_guests(store, 5).await;
    let life = ENTRY_LIFE + Duration::from_secs(1);
    let drop = async |at: u64, at_most| {
        store
            .drop_expired_revocations(after(at) + life, at_most)
            .await
            .unwrap()
    };
    let just_before = after(0) + life - Duration::from_millis(1);
    let dropped = store.drop_expired_revocations(just_before, 10).await;
    assert_eq!(dropped.unwrap(), 0);
    assert_eq!(drop(2, 2).await, 2);
    assert_eq!(drop(2, 2).await, 1);
    assert_eq!(store.read_after(0, 10).await.unwrap()[0].seq, 4);
    assert_eq!(drop(9, 10).await, 2);
    assert_eq!(store.head().await.unwrap().seq, 5);
    end_guests(store, 1).await;
    assert_eq!(store.read_after(0, 10).await.unwrap()[0].seq, 6);
}

/// FT-06: a token from when the clock was an hour ahead is good in an hour, and must not be.
async fn entries_outlive_a_clock_that_was_ahead(store: &impl Store) {
    const HOUR: u64 = 3600;
    let lives = async |noted: u64| {
        store.note_time(after(noted)).await.unwrap();
        end_guests(store, 1).await;
        let head = store.head().await.unwrap();
        let last = store.read_after(head.seq - 1, 1).await.unwrap();
        (last[0].expires_at_s - start().as_second()).unsigned_abs()
    };
    let life = ENTRY_LIFE.as_secs() + 1;
    assert_eq!(lives(0).await, life);
    assert_eq!(lives(HOUR).await, life + HOUR);
    assert_eq!(lives(1).await, life + HOUR);
    assert_eq!(lives(365 * 24 * HOUR).await, life + 24 * HOUR);
}

async fn an_append_is_announced(store: &impl Store) {
    end_guests(store, 1).await;
    store.appended().await;
}
