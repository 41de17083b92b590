//! Sessions on every store.

use std::time::Duration;

use super::*;

on_every_store!(
    a_session_is_found_as_it_was_made,
    an_unknown_secret_finds_nothing,
    a_touch_moves_last_use_and_end,
    a_touch_never_goes_back,
    a_touch_never_revives,
    a_touch_never_passes_the_absolute_limit,
    a_session_ends_once,
    only_ones_own_sessions_end_by_id,
    an_expired_session_is_not_there_to_revoke,
    all_others_end_and_the_asking_one_stays,
    a_session_that_is_gone_ends_no_others,
    a_list_is_live_newest_first_and_bounded,
    expired_sessions_end_in_batches,
    the_oldest_ends_past_the_limit,
    what_took_the_place_of_a_session_is_found_by_its_old_secret,
    signing_out_ends_what_just_took_the_place,
);

fn after(seconds: u64) -> Timestamp {
    start() + Duration::from_secs(seconds)
}

async fn sign_in(store: &impl Store, session: &NewSession) -> Vec<SessionId> {
    match store.sign_in(session, &phc("first"), None).await.unwrap() {
        SignedIn::Done { ended } => ended,
        other => panic!("{other:?}"),
    }
}

async fn a_session_is_found_as_it_was_made(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    let found = store.find_session(&guest.secret_hash).await.unwrap();
    assert_eq!(found.as_ref(), Some(&guest.session));

    let (account, _) = registered(store, "ann@example.com").await;
    let mut user = user_session(&account.subject, start());
    user.session.prior_subject = Some(guest.session.subject);
    user.session.amr = vec!["pwd".to_owned(), "otp".to_owned()];
    sign_in(store, &user).await;
    assert_eq!(
        store.find_session(&user.secret_hash).await.unwrap(),
        Some(user.session)
    );
}

async fn an_unknown_secret_finds_nothing(store: &impl Store) {
    let never = guest_session(start());
    assert_eq!(store.find_session(&never.secret_hash).await.unwrap(), None);
    assert_eq!(
        store
            .end_session(&never.secret_hash, start())
            .await
            .unwrap(),
        None
    );
}

fn touch(session: &NewSession, at: u64) -> Touch {
    Touch {
        id: session.session.id,
        last_seen_at: after(at),
        expires_at: after(at + 1000),
    }
}

async fn a_touch_moves_last_use_and_end(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    assert!(store.touch_session(&touch(&guest, 60)).await.unwrap());
    let found = store
        .find_session(&guest.secret_hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found, guest.session.clone().touched(touch(&guest, 60)));
}

async fn a_touch_never_goes_back(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    assert!(store.touch_session(&touch(&guest, 60)).await.unwrap());
    assert!(!store.touch_session(&touch(&guest, 59)).await.unwrap());
    assert!(!store.touch_session(&touch(&guest, 60)).await.unwrap());
    let found = store
        .find_session(&guest.secret_hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.last_seen_at, found.expires_at),
        (after(60), after(1060))
    );
}

async fn a_touch_never_revives(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    store
        .end_session(&guest.secret_hash, start())
        .await
        .unwrap();
    assert!(!store.touch_session(&touch(&guest, 60)).await.unwrap());
    assert_eq!(store.find_session(&guest.secret_hash).await.unwrap(), None);
}

async fn a_touch_never_passes_the_absolute_limit(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    let far = guest.session.absolute_expires_at + Duration::from_secs(1);
    let touch = Touch {
        expires_at: far,
        ..touch(&guest, 60)
    };
    assert!(store.touch_session(&touch).await.unwrap());
    let found = store
        .find_session(&guest.secret_hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.expires_at, guest.session.absolute_expires_at);
}

async fn a_session_ends_once(store: &impl Store) {
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    assert_eq!(
        store
            .end_session(&guest.secret_hash, start())
            .await
            .unwrap(),
        Some(guest.session.id)
    );
    assert_eq!(
        store
            .end_session(&guest.secret_hash, start())
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.find_session(&guest.secret_hash).await.unwrap(), None);
}

async fn only_ones_own_sessions_end_by_id(store: &impl Store) {
    let (ann, session) = registered(store, "ann@example.com").await;
    let (bob, _) = registered(store, "bob@example.com").await;
    let id = session.session.id;
    assert!(
        !store
            .end_session_of(&bob.subject, id, start())
            .await
            .unwrap()
    );
    assert!(
        store
            .find_session(&session.secret_hash)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store
            .end_session_of(&ann.subject, id, start())
            .await
            .unwrap()
    );
    assert!(
        !store
            .end_session_of(&ann.subject, id, start())
            .await
            .unwrap()
    );
}

async fn an_expired_session_is_not_there_to_revoke(store: &impl Store) {
    let (ann, session) = registered(store, "ann@example.com").await;
    let (id, end) = (session.session.id, session.session.expires_at);
    assert!(!store.end_session_of(&ann.subject, id, end).await.unwrap());
}

async fn all_others_end_and_the_asking_one_stays(store: &impl Store) {
    let (ann, first) = registered(store, "ann@example.com").await;
    let (_, stranger) = registered(store, "bob@example.com").await;
    let (second, third) = (
        user_session(&ann.subject, after(1)),
        user_session(&ann.subject, after(2)),
    );
    sign_in(store, &second).await;
    sign_in(store, &third).await;
    let ended = store
        .end_other_sessions(&ann.subject, second.session.id, start())
        .await
        .unwrap();
    let mut ended = ended.unwrap();
    ended.sort();
    assert_eq!(ended, [first.session.id, third.session.id]);
    let list = store.list_sessions(&ann.subject, after(3)).await.unwrap();
    assert_eq!(list, std::slice::from_ref(&second.session));
    assert!(
        store
            .find_session(&stranger.secret_hash)
            .await
            .unwrap()
            .is_some()
    );
    let again = store
        .end_other_sessions(&ann.subject, second.session.id, start())
        .await
        .unwrap();
    assert_eq!(again, Some(vec![]));
}

async fn a_session_that_is_gone_ends_no_others(store: &impl Store) {
    let (ann, first) = registered(store, "ann@example.com").await;
    let second = user_session(&ann.subject, after(1));
    sign_in(store, &second).await;
    store
        .end_session(&first.secret_hash, start())
        .await
        .unwrap();
    let ended = store
        .end_other_sessions(&ann.subject, first.session.id, start())
        .await
        .unwrap();
    assert_eq!(ended, None);
    assert!(
        store
            .find_session(&second.secret_hash)
            .await
            .unwrap()
            .is_some()
    );
}

async fn listed(store: &impl Store, subject: &Subject, now: Timestamp) -> Vec<SessionId> {
    let list = store.list_sessions(subject, now).await.unwrap();
    list.into_iter().map(|session| session.id).collect()
}

async fn a_list_is_live_newest_first_and_bounded(store: &impl Store) {
    let (ann, first) = registered(store, "ann@example.com").await;
    let mut ids = vec![first.session.id];
    for n in 1..=5 {
        let session = user_session(&ann.subject, after(n));
        sign_in(store, &session).await;
        ids.push(session.session.id);
    }
    ids.reverse();
    assert_eq!(listed(store, &ann.subject, after(5)).await, ids);
    // At the first one's end the others have some seconds left.
    ids.pop();
    assert_eq!(
        listed(store, &ann.subject, first.session.expires_at).await,
        ids
    );
}

async fn expired_sessions_end_in_batches(store: &impl Store) {
    let guests: Vec<_> = (0..5).map(|n| guest_session(after(n))).collect();
    for guest in &guests {
        store.create_session(guest).await.unwrap();
    }
    let now = guests[3].session.expires_at;
    let ids: Vec<_> = guests.iter().map(|guest| guest.session.id).collect();
    let mut ended = store.end_expired_sessions(now, 3).await.unwrap();
    ended.sort();
    assert_eq!(ended, ids[..3]);
    assert_eq!(store.end_expired_sessions(now, 3).await.unwrap(), ids[3..4]);
    assert_eq!(store.end_expired_sessions(now, 3).await.unwrap(), []);
    assert!(
        store
            .find_session(&guests[4].secret_hash)
            .await
            .unwrap()
            .is_some()
    );
}

/// CS-17.
async fn the_oldest_ends_past_the_limit(store: &impl Store) {
    let (ann, first) = registered(store, "ann@example.com").await;
    let limit = u64::from(MAX_SESSIONS_PER_SUBJECT);
    for n in 1..limit {
        assert_eq!(
            sign_in(store, &user_session(&ann.subject, after(n))).await,
            []
        );
    }
    let one_more = user_session(&ann.subject, after(limit));
    assert_eq!(sign_in(store, &one_more).await, [first.session.id]);
    let list = store
        .list_sessions(&ann.subject, after(limit))
        .await
        .unwrap();
    assert_eq!(list.len(), MAX_SESSIONS_PER_SUBJECT as usize);
    assert_eq!(list[0], one_more.session);

    // A clock that went back makes the new session the oldest; it stays all the same.
    let early = user_session(&ann.subject, start() - Duration::from_secs(60));
    assert_eq!(sign_in(store, &early).await.len(), 1);
    assert!(
        store
            .find_session(&early.secret_hash)
            .await
            .unwrap()
            .is_some()
    );

    let parallel: Vec<_> = (1..=20)
        .map(|n| user_session(&ann.subject, after(limit + n)))
        .collect();
    futures::future::join_all(parallel.iter().map(|session| sign_in(store, session))).await;
    let list = store
        .list_sessions(&ann.subject, after(limit + 20))
        .await
        .unwrap();
    assert_eq!(list.len(), MAX_SESSIONS_PER_SUBJECT as usize);
    for session in &parallel {
        assert!(
            store
                .find_session(&session.secret_hash)
                .await
                .unwrap()
                .is_some()
        );
    }
}

async fn what_took_the_place_of_a_session_is_found_by_its_old_secret(store: &impl Store) {
    let (ann, _) = registered(store, "ann@example.com").await;
    let guest = guest_session(start());
    store.create_session(&guest).await.unwrap();
    let mut session = user_session(&ann.subject, after(1));
    session.replaces = Some(guest.secret_hash);
    session.session.prior_subject = Some(guest.session.subject.clone());
    assert_eq!(sign_in(store, &session).await, [guest.session.id]);

    let successor = store
        .find_successor(&guest.secret_hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(successor.id, session.session.id);
    assert_eq!(successor.prior_subject, Some(guest.session.subject));
    for other in [session.secret_hash, guest_session(start()).secret_hash] {
        assert_eq!(store.find_successor(&other).await.unwrap(), None);
    }
}

async fn signing_out_ends_what_just_took_the_place(store: &impl Store) {
    let (ann, bystander) = registered(store, "ann@example.com").await;
    let replace = async |seconds| {
        let guest = guest_session(start());
        store.create_session(&guest).await.unwrap();
        let mut session = user_session(&ann.subject, after(seconds));
        session.replaces = Some(guest.secret_hash);
        assert_eq!(sign_in(store, &session).await, [guest.session.id]);
        (guest.secret_hash, session)
    };
    let (old, session) = replace(1).await;
    assert_eq!(
        store.end_session(&old, start()).await.unwrap(),
        None,
        "that one only"
    );
    assert_eq!(store.sign_out(&old, after(61)).await.unwrap(), None);
    let there = store.find_session(&session.secret_hash).await.unwrap();
    assert!(there.is_some(), "a minute is too long ago");
    let ended = store.sign_out(&session.secret_hash, after(61)).await;
    assert_eq!(ended.unwrap(), Some(session.session.id), "its own secret");

    let (old, session) = replace(2).await;
    let just_in_time = after(62) - Duration::from_millis(1);
    let ended = store.sign_out(&old, just_in_time).await.unwrap();
    assert_eq!(ended, Some(session.session.id));
    assert_eq!(
        store.find_session(&session.secret_hash).await.unwrap(),
        None
    );
    assert_eq!(store.sign_out(&old, just_in_time).await.unwrap(), None);
    let stays = store.find_session(&bystander.secret_hash).await.unwrap();
    assert!(stays.is_some(), "others stay");
}
