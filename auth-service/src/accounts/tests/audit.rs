//! What the log says of it, and what it must not say (OP-03, CS-12).

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use super::*;

thread_local! {
    /// What this thread logged. A subscriber for one test would not do: whether an
    /// event is of interest is remembered for the whole process, and other tests run
    /// in it.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Captured;

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start_capturing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(|| Captured)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

fn captured() -> String {
    LOG.with_borrow(|log| String::from_utf8(log.clone()).unwrap())
}

#[tokio::test]
async fn every_event_is_logged_and_no_secret_is() {
    const EMAIL: &str = "canary@example.com";
    start_capturing();
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

    let text = captured();
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
