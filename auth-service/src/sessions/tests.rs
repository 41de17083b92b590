use super::*;
use crate::fixtures::{HOME, PASSWORD, World, at};
use crate::store::AccountStore as _;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn guest(world: &World) -> OpenedSession {
    world.sessions.create_guest(at(HOME)).await.unwrap()
}

/// A second session of somebody who is registered.
async fn signed_in(world: &World, email: &str) -> OpenedSession {
    world.pass(Duration::from_millis(1));
    world.login(email, PASSWORD, HOME, None).await.unwrap().1
}

#[tokio::test]
async fn a_guest_is_who_the_secret_says() {
    let world = World::new().await;
    let (one, other) = (guest(&world).await, guest(&world).await);
    assert_ne!(one.session.subject, other.session.subject);
    let found = world.sessions.get(&one.secret).await.unwrap();
    assert_eq!(found, Some(one.session));
}

/// CS-04.
#[tokio::test]
async fn a_secret_of_the_clients_choosing_is_nobodys() {
    let world = World::new().await;
    guest(&world).await;
    let chosen = SessionSecret::parse(&"A".repeat(43)).unwrap();
    assert_eq!(world.sessions.get(&chosen).await.unwrap(), None);
    assert_eq!(world.sessions.list(&chosen).await.unwrap(), None);
    assert_eq!(world.sessions.end(&chosen).await.unwrap(), None);
    assert_eq!(world.sessions.revoke_others(&chosen).await.unwrap(), None);
}

/// CS-03: neither as text nor as bytes, nor in the write-ahead log.
#[tokio::test]
async fn no_file_holds_a_secret() {
    let world = World::new().await;
    let (_, user) = world.register("ann@example.com").await;
    let guest = guest(&world).await;
    for secret in [&user.secret, &guest.secret] {
        let text = secret.reveal();
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let raw = base64::Engine::decode(&engine, &*text).unwrap();
        let files = world.files();
        assert!(files.len() >= 2, "the database and its log");
        for (path, bytes) in files {
            for needle in [text.as_bytes(), &raw[..16], PASSWORD.as_bytes()] {
                let found = bytes.windows(needle.len()).any(|part| part == needle);
                assert!(!found, "{path:?}");
            }
        }
    }
    let hash = user.secret.hash();
    let stored = |(_, bytes): &(_, Vec<u8>)| bytes.windows(32).any(|part| part == hash.as_bytes());
    assert!(
        world.files().iter().any(stored),
        "the search finds what is there"
    );
}

/// CS-09.
#[tokio::test]
async fn an_idle_session_ends() {
    let world = World::new().await;
    let guest = guest(&world).await;
    world.pass(SessionTtls::GUEST_IDLE - seconds(1));
    assert!(world.sessions.get(&guest.secret).await.unwrap().is_some());
    world.pass(SessionTtls::GUEST_IDLE);
    assert!(world.sessions.get(&guest.secret).await.unwrap().is_none());
}

/// CS-09: use extends the idle limit and never the absolute one.
#[tokio::test]
async fn a_session_in_use_ends_at_its_absolute_limit() {
    let world = World::new().await;
    let (_, user) = world.register("ann@example.com").await;
    let day = seconds(24 * 3600);
    for _ in 0..29 {
        world.pass(day);
        assert!(world.sessions.get(&user.secret).await.unwrap().is_some());
    }
    world.pass(day - seconds(1));
    assert!(world.sessions.get(&user.secret).await.unwrap().is_some());
    world.pass(seconds(1));
    assert!(world.sessions.get(&user.secret).await.unwrap().is_none());
}

/// ST-04.
#[tokio::test]
async fn a_session_seen_expired_stays_so_when_the_clock_goes_back() {
    let world = World::new().await;
    let guest = guest(&world).await;
    world.clock.set(guest.session.expires_at);
    assert!(world.sessions.get(&guest.secret).await.unwrap().is_none());
    world.clock.set(guest.session.created_at);
    assert!(world.sessions.get(&guest.secret).await.unwrap().is_none());
}

/// ST-04.
#[tokio::test]
async fn a_revoked_session_stays_so_when_the_clock_goes_back() {
    let world = World::new().await;
    let guest = guest(&world).await;
    assert_eq!(
        world.sessions.end(&guest.secret).await.unwrap(),
        Some(guest.session.id)
    );
    world.clock.set(guest.session.created_at - seconds(3600));
    assert!(world.sessions.get(&guest.secret).await.unwrap().is_none());
}

async fn writes(world: &World) -> i64 {
    // `data_version` of a connection moves when another one commits; total_changes
    // counts what this, the only writer, changed.
    sqlx::query_scalar("SELECT total_changes()")
        .fetch_one(world.store.writer())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_thousand_requests_are_one_write() {
    let world = World::new().await;
    let (_, user) = world.register("ann@example.com").await;
    let before = writes(&world).await;
    for _ in 0..1000 {
        world.pass(seconds(4));
        assert!(world.sessions.get(&user.secret).await.unwrap().is_some());
    }
    assert_eq!(
        writes(&world).await - before,
        1,
        "4 000 s, and one hour is the interval"
    );
    let found = world.sessions.get(&user.secret).await.unwrap().unwrap();
    assert_eq!(found.last_seen_at, user.session.created_at + seconds(3600));
}

/// A full disk must neither sign people out nor stop the exchange.
#[tokio::test]
async fn a_touch_that_cannot_be_written_does_not_fail_the_exchange() {
    let world = World::new().await;
    let guest = guest(&world).await;
    sqlx::query("PRAGMA query_only = 1")
        .execute(world.store.writer())
        .await
        .unwrap();
    world.pass(seconds(2 * 3600 + 1));
    let found = world.sessions.get(&guest.secret).await.unwrap().unwrap();
    assert_eq!(found, guest.session);
    sqlx::query("PRAGMA query_only = 0")
        .execute(world.store.writer())
        .await
        .unwrap();
    let found = world.sessions.get(&guest.secret).await.unwrap().unwrap();
    assert_ne!(found.last_seen_at, guest.session.last_seen_at);
}

/// A browser whose sign-in answer was lost must not be stuck until the new session ends.
#[tokio::test]
async fn a_secret_counts_as_replaced_for_a_minute() {
    let world = World::new().await;
    let guest = guest(&world).await;
    let (_, user) = world
        .try_register("ann@example.com", PASSWORD, Some(&guest.secret))
        .await
        .unwrap();
    for (time, replaced) in [
        (0, true),
        (59_999, true),
        (60_000, false),
        (86_400_000, false),
    ] {
        world
            .clock
            .set(user.session.created_at + Duration::from_millis(time));
        let answer = world.sessions.is_replaced(&guest.secret).await.unwrap();
        assert_eq!(answer, replaced, "{time}");
        assert!(world.sessions.get(&user.secret).await.unwrap().is_some());
    }
}

/// A sign-out that came while a sign-in or a password change was under way.
#[tokio::test]
async fn signing_out_with_a_secret_just_replaced_signs_out() {
    let world = World::new().await;
    let guest = guest(&world).await;
    let (_, user) = world
        .try_register("ann@example.com", PASSWORD, Some(&guest.secret))
        .await
        .unwrap();
    let ended = world.sessions.end(&guest.secret).await.unwrap();
    assert_eq!(ended, Some(user.session.id));
    assert!(world.sessions.get(&user.secret).await.unwrap().is_none());

    let before = signed_in(&world, "ann@example.com").await;
    world.pass(seconds(3600));
    let request = crate::accounts::NewPassword {
        secret: &before.secret,
        current_password: crate::password::Password::received(PASSWORD.to_owned()),
        new_password: crate::password::Password::received("a different horse".to_owned()),
        client: at(HOME),
    };
    let (after, _) = world.accounts.change_password(request).await.unwrap();
    let ended = world.sessions.end(&before.secret).await.unwrap();
    assert_eq!(ended, Some(after.session.id));
    assert!(world.sessions.get(&after.secret).await.unwrap().is_none());
}

/// FT-01: away is not over.
#[tokio::test]
async fn a_store_that_is_away_is_an_error() {
    let world = World::new().await;
    let guest = guest(&world).await;
    world.store.close().await;
    assert!(world.sessions.get(&guest.secret).await.is_err());
    assert!(world.sessions.end(&guest.secret).await.is_err());
    assert!(world.sessions.create_guest(at(HOME)).await.is_err());
}

#[tokio::test]
async fn devices_are_listed_newest_first() {
    let world = World::new().await;
    let (_, first) = world.register("ann@example.com").await;
    let second = signed_in(&world, "ann@example.com").await;
    world.register("bob@example.com").await;
    let (asking, list) = world.sessions.list(&first.secret).await.unwrap().unwrap();
    assert_eq!(asking.id, first.session.id);
    assert_eq!(list, [second.session, first.session]);
}

/// CS-16: somebody else's session is not found, whatever one knows of it.
#[tokio::test]
async fn only_ones_own_sessions_can_be_revoked() {
    let world = World::new().await;
    let (_, ann) = world.register("ann@example.com").await;
    let (_, bob) = world.register("bob@example.com").await;
    let outcome = world
        .sessions
        .revoke(&bob.secret, ann.session.id)
        .await
        .unwrap();
    assert_eq!(outcome, Some(Revoked::NotFound));
    assert!(world.sessions.get(&ann.secret).await.unwrap().is_some());

    let other = signed_in(&world, "ann@example.com").await;
    let outcome = world
        .sessions
        .revoke(&ann.secret, other.session.id)
        .await
        .unwrap();
    assert_eq!(outcome, Some(Revoked::Done));
    assert!(world.sessions.get(&other.secret).await.unwrap().is_none());
    let again = world
        .sessions
        .revoke(&ann.secret, other.session.id)
        .await
        .unwrap();
    assert_eq!(again, Some(Revoked::NotFound));
}

#[tokio::test]
async fn one_may_revoke_the_session_one_asks_with() {
    let world = World::new().await;
    let (_, ann) = world.register("ann@example.com").await;
    let outcome = world
        .sessions
        .revoke(&ann.secret, ann.session.id)
        .await
        .unwrap();
    assert_eq!(outcome, Some(Revoked::Done));
    assert_eq!(
        world
            .sessions
            .revoke(&ann.secret, ann.session.id)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn revoking_others_leaves_the_asking_one_and_strangers() {
    let world = World::new().await;
    let (_, first) = world.register("ann@example.com").await;
    let second = signed_in(&world, "ann@example.com").await;
    let (_, bob) = world.register("bob@example.com").await;
    let ended = world.sessions.revoke_others(&second.secret).await.unwrap();
    assert_eq!(ended, Some(vec![first.session.id]));
    assert!(world.sessions.get(&first.secret).await.unwrap().is_none());
    assert!(world.sessions.get(&second.secret).await.unwrap().is_some());
    assert!(world.sessions.get(&bob.secret).await.unwrap().is_some());
}

#[tokio::test]
async fn purging_takes_what_is_over_and_nothing_else() {
    let world = World::new().await;
    let old = guest(&world).await;
    world.pass(SessionTtls::GUEST_IDLE);
    let young = guest(&world).await;
    assert_eq!(world.sessions.purge().await.unwrap(), [old.session.id]);
    assert_eq!(world.sessions.purge().await.unwrap(), []);
    assert!(world.sessions.get(&young.secret).await.unwrap().is_some());
}

/// CS-15.
#[tokio::test]
async fn guests_are_limited_per_source() {
    let world = World::new().await;
    let mut made = 0;
    for _ in 0..120 {
        match world.sessions.create_guest(at(HOME)).await {
            Ok(_) => made += 1,
            Err(CreateGuestError::TooMany { retry_after }) => assert!(!retry_after.is_zero()),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 100);
    assert!(world.sessions.create_guest(at("192.0.2.200")).await.is_ok());
}

#[tokio::test]
async fn a_guest_has_no_account() {
    let world = World::new().await;
    let guest = guest(&world).await;
    assert!(
        world
            .store
            .find_account(&guest.session.subject)
            .await
            .unwrap()
            .is_none()
    );
}
