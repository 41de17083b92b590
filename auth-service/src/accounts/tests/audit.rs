//! What the log says of it, and what it must not say (OP-03, CS-12).

use super::*;
use crate::fixtures::log;

#[tokio::test]
async fn every_event_is_logged_and_no_secret_is() {
    const EMAIL: &str = "canary@example.com";
    log::start_capturing();
    let world = World::new().await;
    let guest = guest(&world).await;
    let (account, opened) = world
        .try_register(EMAIL, PASSWORD, Some(&guest.secret))
        .await
        .unwrap();
    let (_, second) = world.login(EMAIL, PASSWORD, HOME, None).await.unwrap();
    world.wrong_tries(EMAIL, "198.51.100.1", 6).await;
    world
        .wrong_tries("canary\u{e9}@example.com", "198.51.100.2", 1)
        .await;
    change(
        &world,
        &opened.secret,
        "wrong password",
        "a different horse",
    )
    .await
    .unwrap_err();
    let (third, _) = change(&world, &opened.secret, PASSWORD, "a different horse")
        .await
        .unwrap();
    world.sessions.revoke_others(&third.secret).await.unwrap();
    let (_, fourth) = world
        .login(EMAIL, "a different horse", HOME, None)
        .await
        .unwrap();
    world
        .sessions
        .revoke(&third.secret, fourth.session.id)
        .await
        .unwrap();
    world.sessions.end(&third.secret).await.unwrap();

    let text = log::captured();
    for event in [
        "session.guest_created",
        "account.registered",
        "login.succeeded",
        "login.refused",
        "password.change_refused",
        "password.changed",
        "session.others_revoked",
        "session.revoked",
        "session.ended",
    ] {
        assert!(
            text.contains(&format!("\"event\":\"{event}\"")),
            "{event} in {text}"
        );
    }
    for reason in ["password_wrong", "account_unknown", "too_many"] {
        assert!(
            text.contains(&format!("\"reason\":\"{reason}\"")),
            "{reason}"
        );
    }
    assert!(text.contains(account.subject.as_str()));
    assert!(text.contains(&opened.session.id.to_string()));
    let secrets = [&guest, &opened, &second, &third, &fourth].map(|o| o.secret.reveal());
    for secret in &secrets {
        assert!(
            !text.contains(secret.as_str()),
            "a session secret in the log"
        );
    }
    for private in [
        "canary",
        PASSWORD,
        "wrong password",
        "a different horse",
        "argon2id",
        "Ann",
    ] {
        assert!(!text.contains(private), "{private} in the log");
    }
}
