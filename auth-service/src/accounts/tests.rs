mod audit;

use super::*;
use crate::fixtures::{HOME, PASSWORD, World, at};
use crate::password::HashCost;

const ANN: &str = "ann@example.com";

async fn guest(world: &World) -> OpenedSession {
    world.sessions.create_guest(at(HOME)).await.unwrap()
}

async fn is_live(world: &World, opened: &OpenedSession) -> bool {
    world.sessions.get(&opened.secret).await.unwrap().is_some()
}

async fn change(
    world: &World,
    secret: &SessionSecret,
    current: &str,
    new: &str,
) -> Result<(OpenedSession, Vec<crate::session::SessionId>), ChangePasswordError> {
    let request = NewPassword {
        secret,
        current_password: Password::received(current.to_owned()),
        new_password: Password::received(new.to_owned()),
        client: at(HOME),
    };
    world.accounts.change_password(request).await
}

#[tokio::test]
async fn who_registers_is_signed_in_and_can_sign_in_again() {
    let world = World::new().await;
    let (account, opened) = world.register(" Ann@Example.com ").await;
    assert_eq!(account.email.as_typed(), "Ann@Example.com");
    assert_eq!(opened.session.subject, account.subject);
    assert!(is_live(&world, &opened).await);
    let (again, second) = world
        .login("ANN@example.COM", PASSWORD, HOME, None)
        .await
        .unwrap();
    assert_eq!(again.subject, account.subject);
    assert_ne!(second.session.id, opened.session.id);
    assert!(
        is_live(&world, &opened).await,
        "another device stays signed in"
    );
    let found = world
        .accounts
        .find(&account.subject)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.email, account.email);
}

#[tokio::test]
async fn a_bad_registration_names_every_field() {
    let world = World::new().await;
    let request = Registration {
        email: "ann",
        password: Password::received("short".to_owned()),
        display_name: "a\0b",
        current: None,
        client: at(HOME),
    };
    let Err(RegisterError::Invalid(violations)) = world.accounts.register(request).await else {
        panic!("registered")
    };
    let mut fields: Vec<_> = violations.iter().map(|violation| violation.field).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["display_name", "email", "password"]);
    assert_eq!(world.hashing.stats().running, 0);
}

#[tokio::test]
async fn a_taken_address_is_refused_however_it_is_written() {
    let world = World::new().await;
    world.register(ANN).await;
    for variant in [ANN, "ANN@EXAMPLE.COM", " ａnn@example.com"] {
        let refused = world.try_register(variant, PASSWORD, None).await;
        assert!(
            matches!(refused, Err(RegisterError::EmailTaken)),
            "{variant}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_registrations_at_once_one_wins() {
    let world = World::new().await;
    let all = (0..10).map(|_| world.try_register(ANN, PASSWORD, None));
    let outcomes = futures::future::join_all(all).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let taken = |outcome: &Result<_, _>| matches!(outcome, Err(RegisterError::EmailTaken));
    assert_eq!(outcomes.iter().filter(|outcome| taken(outcome)).count(), 9);
}

#[tokio::test]
async fn registrations_are_limited_per_source() {
    let world = World::new().await;
    for n in 0..20 {
        world.register(&format!("p{n}@example.com")).await;
    }
    let refused = world
        .try_register("one-more@example.com", PASSWORD, None)
        .await;
    assert!(matches!(refused, Err(RegisterError::TooMany { .. })));
}

/// CS-05, CS-14.
#[tokio::test]
async fn a_guest_becomes_the_person_who_registers() {
    let world = World::new().await;
    let guest = guest(&world).await;
    let (_, opened) = world
        .try_register(ANN, PASSWORD, Some(&guest.secret))
        .await
        .unwrap();
    assert_eq!(
        opened.session.prior_subject,
        Some(guest.session.subject.clone())
    );
    assert_ne!(*opened.secret.reveal(), *guest.secret.reveal());
    assert!(!is_live(&world, &guest).await);
}

#[tokio::test]
async fn a_guest_becomes_the_person_who_signs_in() {
    let world = World::new().await;
    world.register(ANN).await;
    let guest = guest(&world).await;
    let (_, opened) = world
        .login(ANN, PASSWORD, HOME, Some(&guest.secret))
        .await
        .unwrap();
    assert_eq!(
        opened.session.prior_subject,
        Some(guest.session.subject.clone())
    );
    assert!(!is_live(&world, &guest).await);
}

/// CS-14: an answer that was lost, or a double click, loses no cart and gives it to
/// nobody else.
#[tokio::test]
async fn a_sign_in_sent_twice_keeps_the_guest() {
    let world = World::new().await;
    world.register(ANN).await;
    world.register("bob@example.com").await;
    let guest = guest(&world).await;
    let (first, second) = tokio::join!(
        world.login(ANN, PASSWORD, HOME, Some(&guest.secret)),
        world.login(ANN, PASSWORD, HOME, Some(&guest.secret)),
    );
    let subject = Some(guest.session.subject.clone());
    assert_eq!(first.unwrap().1.session.prior_subject, subject);
    assert_eq!(second.unwrap().1.session.prior_subject, subject);
    let (_, bob) = world
        .login("bob@example.com", PASSWORD, HOME, Some(&guest.secret))
        .await
        .unwrap();
    assert_eq!(bob.session.prior_subject, None);
}

#[tokio::test]
async fn signing_in_again_replaces_ones_own_session_and_keeps_the_merge() {
    let world = World::new().await;
    let guest = guest(&world).await;
    let (_, first) = world
        .try_register(ANN, PASSWORD, Some(&guest.secret))
        .await
        .unwrap();
    let (_, second) = world
        .login(ANN, PASSWORD, HOME, Some(&first.secret))
        .await
        .unwrap();
    assert!(!is_live(&world, &first).await);
    assert_eq!(second.session.prior_subject, Some(guest.session.subject));
}

/// LP-11: no silent switch; and only who knows the password learns that.
#[tokio::test]
async fn signing_in_over_another_persons_session_is_said() {
    let world = World::new().await;
    world.register(ANN).await;
    let (_, bob) = world.register("bob@example.com").await;
    let over = world.login(ANN, PASSWORD, HOME, Some(&bob.secret)).await;
    assert!(matches!(over, Err(LoginError::AlreadySignedIn)));
    let wrong = world
        .login(ANN, "wrong password", HOME, Some(&bob.secret))
        .await;
    assert!(matches!(wrong, Err(LoginError::Refused)));
    assert!(is_live(&world, &bob).await);
    let registered = world
        .try_register("new@example.com", PASSWORD, Some(&bob.secret))
        .await;
    assert!(matches!(registered, Err(RegisterError::AlreadySignedIn)));
}

#[tokio::test]
async fn a_stale_cookie_keeps_nobody_out() {
    let world = World::new().await;
    world.register(ANN).await;
    let (_, bob) = world.register("bob@example.com").await;
    let guest = guest(&world).await;
    world.pass(SessionTtls::USER_ABSOLUTE);
    let unknown = SessionSecret::parse(&"A".repeat(43)).unwrap();
    for stale in [&unknown, &bob.secret, &guest.secret] {
        let (_, opened) = world.login(ANN, PASSWORD, HOME, Some(stale)).await.unwrap();
        assert_eq!(opened.session.prior_subject, None);
    }
}

/// LP-02: one answer for everything that is not right.
#[tokio::test]
async fn refusals_are_indistinguishable() {
    let world = World::new().await;
    world.register(ANN).await;
    let (disabled, _) = world.register("off@example.com").await;
    world.disable(&disabled).await;
    for (email, password) in [
        (ANN, "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("off@example.com", PASSWORD),
        ("off@example.com", "wrong password"),
        (ANN, "correct horse batterY"),
        (ANN, " correct horse battery"),
        (ANN, "correct horse battery\0"),
        ("ann+x@example.com", PASSWORD),
    ] {
        let refused = world.login(email, password, "192.0.2.50", None).await;
        assert!(
            matches!(refused, Err(LoginError::Refused)),
            "{email}: {refused:?}"
        );
    }
}

/// LP-02: the work is the same too. Both verify one hash of the full cost.
#[tokio::test]
async fn an_unknown_address_costs_a_hash() {
    let world = World::new().await.restarted(HashCost::DEFAULT).await;
    world.register(ANN).await;
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..4 {
        for (email, times) in [ANN, "nobody@example.com"].into_iter().zip(&mut times) {
            let began = std::time::Instant::now();
            let source = format!("10.0.0.{n}");
            world
                .login(email, "wrong password", &source, None)
                .await
                .unwrap_err();
            times.push(began.elapsed());
        }
    }
    let [known, unknown] = times.map(|times| times.into_iter().min().unwrap());
    // A missing hash would make one of them a hundred times faster.
    assert!(
        unknown * 4 > known && known * 4 > unknown,
        "{known:?} {unknown:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_a_login_is_invalid_and_not_counted() {
    let world = World::new().await;
    world.register(ANN).await;
    for (email, password, field) in [
        ("ann", PASSWORD, "email"),
        ("ann\0@example.com", PASSWORD, "email"),
        (ANN, "", "password"),
        (ANN, &"a".repeat(1 << 20), "password"),
    ] {
        for _ in 0..10 {
            match world.login(email, password, HOME, None).await {
                Err(LoginError::Invalid(violations)) => assert_eq!(violations[0].field, field),
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(world.login(ANN, PASSWORD, HOME, None).await.is_ok());
}

/// LP-04, LP-05.
#[tokio::test]
async fn wrong_tries_are_limited_and_the_owner_gets_in_elsewhere() {
    let world = World::new().await;
    world.register(ANN).await;
    assert_eq!(world.wrong_tries(ANN, "198.51.100.1", 30).await, 5);
    let right = world.login(ANN, PASSWORD, "198.51.100.1", None).await;
    assert!(
        matches!(right, Err(LoginError::TooMany { .. })),
        "right ones wait too"
    );
    assert_eq!(
        world
            .wrong_tries("nobody@example.com", "198.51.100.2", 30)
            .await,
        5
    );

    assert!(
        world
            .login(ANN, PASSWORD, "203.0.113.5", None)
            .await
            .is_ok(),
        "a new device"
    );
    for host in 10..40 {
        world
            .wrong_tries(ANN, &format!("198.51.100.{host}"), 5)
            .await;
    }
    assert!(
        world.login(ANN, PASSWORD, HOME, None).await.is_ok(),
        "at home"
    );
    assert!(
        world
            .login(ANN, PASSWORD, "203.0.113.5", None)
            .await
            .is_ok(),
        "by now known"
    );
    world.pass(Duration::from_secs(24 * 3600));
    assert!(
        world
            .login(ANN, PASSWORD, "198.51.100.1", None)
            .await
            .is_ok(),
        "no lock for good"
    );
}

#[tokio::test]
async fn signing_in_rightly_is_not_limited() {
    let world = World::new().await;
    world.register(ANN).await;
    for _ in 0..60 {
        world
            .login(ANN, PASSWORD, "203.0.113.5", None)
            .await
            .unwrap();
    }
}

/// LP-05: counted before it is looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_parallel_burst_is_limited_like_a_slow_one() {
    let world = World::new().await;
    world.register(ANN).await;
    let all = (0..50).map(|_| world.login(ANN, "wrong password", "198.51.100.1", None));
    let outcomes = futures::future::join_all(all).await;
    let refused = |outcome: &&Result<_, _>| matches!(outcome, Err(LoginError::Refused));
    assert_eq!(outcomes.iter().filter(refused).count(), 5);
}

/// LP-13: shed work is not a guess.
#[tokio::test]
async fn a_full_queue_sheds_and_counts_nothing() {
    let world = World::new().await;
    let (_, opened) = world.register(ANN).await;
    let full = world.hashing.fill();
    for _ in 0..30 {
        let login = world.login(ANN, PASSWORD, HOME, None).await;
        assert!(matches!(login, Err(LoginError::Shed { .. })), "{login:?}");
        let changed = change(&world, &opened.secret, PASSWORD, "a different horse").await;
        assert!(matches!(changed, Err(ChangePasswordError::Shed { .. })));
    }
    let registered = world.try_register("new@example.com", PASSWORD, None).await;
    assert!(matches!(registered, Err(RegisterError::Shed { .. })));
    assert!(is_live(&world, &opened).await, "sessions go on");
    drop(full);
    assert!(world.login(ANN, PASSWORD, HOME, None).await.is_ok());
}

/// LP-01.
#[tokio::test]
async fn a_raised_cost_is_applied_at_the_next_sign_in() {
    let world = World::new().await;
    let (before, _) = world.register(ANN).await;
    assert!(before.password_hash.to_phc().contains("$m=8,t=1,p=1$"));
    let world = world.restarted(HashCost::DEFAULT).await;
    let (after, _) = world.login(ANN, PASSWORD, HOME, None).await.unwrap();
    assert!(after.password_hash.to_phc().contains("$m=19456,t=2,p=1$"));
    let stored = world.accounts.find(&after.subject).await.unwrap().unwrap();
    assert_eq!(stored.password_hash, after.password_hash);
    let (again, _) = world.login(ANN, PASSWORD, HOME, None).await.unwrap();
    assert_eq!(again.password_hash, after.password_hash, "once");
}

/// The first of them makes the hash anew under the others' feet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ins_at_once_all_succeed_when_the_cost_rose() {
    let world = World::new().await;
    world.register(ANN).await;
    let world = world.restarted(HashCost::DEFAULT).await;
    let logins = (0..4).map(|_| world.login(ANN, PASSWORD, HOME, None));
    for outcome in futures::future::join_all(logins).await {
        outcome.unwrap();
    }
}

/// CS-07, CS-05.
#[tokio::test]
async fn a_new_password_ends_every_other_session_and_the_old_secret() {
    let world = World::new().await;
    let (_, first) = world.register(ANN).await;
    let (_, second) = world.login(ANN, PASSWORD, HOME, None).await.unwrap();
    world.pass(Duration::from_secs(60));
    let new = "a different horse";
    let (opened, ended) = change(&world, &first.secret, PASSWORD, new).await.unwrap();
    assert_eq!(ended, [second.session.id, first.session.id]);
    assert_ne!(opened.session.id, first.session.id);
    assert!(opened.session.authenticated_at > first.session.authenticated_at);
    assert!(!is_live(&world, &first).await && !is_live(&world, &second).await);
    let found = world.sessions.get(&opened.secret).await.unwrap().unwrap();
    assert_eq!(found.authenticated_at, opened.session.authenticated_at);
    assert!(matches!(
        world.login(ANN, PASSWORD, HOME, None).await,
        Err(LoginError::Refused)
    ));
    assert!(world.login(ANN, new, HOME, None).await.is_ok());
}

/// LP-09.
#[tokio::test]
async fn the_current_password_is_needed_and_guessing_it_is_limited() {
    let world = World::new().await;
    let (_, opened) = world.register(ANN).await;
    let mut wrong = 0;
    for _ in 0..30 {
        match change(
            &world,
            &opened.secret,
            "wrong password",
            "a different horse",
        )
        .await
        {
            Err(ChangePasswordError::PasswordWrong) => wrong += 1,
            Err(ChangePasswordError::TooMany { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(wrong, 5);
    let login = world.login(ANN, PASSWORD, HOME, None).await;
    assert!(
        matches!(login, Err(LoginError::TooMany { .. })),
        "the same bucket"
    );
    assert!(is_live(&world, &opened).await);
}

#[tokio::test]
async fn a_new_password_follows_the_policy() {
    let world = World::new().await;
    let (_, opened) = world.register(ANN).await;
    for new in ["short", "password1", "ann@example.com", &"a".repeat(2000)] {
        match change(&world, &opened.secret, PASSWORD, new).await {
            Err(ChangePasswordError::Invalid(violations)) => {
                assert_eq!(violations[0].field, "new_password");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn only_a_persons_live_session_changes_a_password() {
    let world = World::new().await;
    let (account, opened) = world.register(ANN).await;
    let guest = guest(&world).await;
    let unknown = SessionSecret::parse(&"A".repeat(43)).unwrap();
    for secret in [&guest.secret, &unknown] {
        let refused = change(&world, secret, PASSWORD, "a different horse").await;
        assert!(matches!(refused, Err(ChangePasswordError::SessionInvalid)));
    }
    world.disable(&account).await;
    let refused = change(&world, &opened.secret, PASSWORD, "a different horse").await;
    assert!(matches!(refused, Err(ChangePasswordError::SessionInvalid)));
}

/// FT-01.
#[tokio::test]
async fn a_store_that_is_away_refuses_nobody() {
    let world = World::new().await;
    world.register(ANN).await;
    world.store.close().await;
    let login = world.login(ANN, PASSWORD, HOME, None).await;
    assert!(matches!(
        login,
        Err(LoginError::Store(StoreError::Unavailable(_)))
    ));
    let registered = world.try_register("new@example.com", PASSWORD, None).await;
    assert!(matches!(
        registered,
        Err(RegisterError::Store(StoreError::Unavailable(_)))
    ));
}
