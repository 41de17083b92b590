use chassis::workload::{AssertionSigner, WorkloadKey};

use super::*;
use crate::accounts::LoginError;
use crate::fixtures::{HOME, PASSWORD, World, log};
use crate::jwks::PublicJwk;
use crate::workload::{Permission, WorkloadSettings, Workloads};

fn operator(world: &World) -> Operator {
    Operator::new(
        Arc::new(world.store.clone()),
        Arc::new(world.store.clone()),
        Arc::new(world.clock.clone()),
    )
}

fn caller(world: &World) -> Workload {
    let key = WorkloadKey::generate().unwrap();
    let settings = WorkloadSettings {
        name: "night-shift".to_owned(),
        public_key: PublicJwk::from_json(&key.public_jwk()).unwrap(),
        may: vec![Permission::Operate],
    };
    let clock = Arc::new(world.clock.clone());
    let signer = AssertionSigner::new("night-shift", key, "auth-service", clock);
    let workloads = Workloads::new(&[settings], 10).unwrap();
    let now = world.clock.now();
    workloads.verify(&signer.assertion(), now).unwrap()
}

fn by_email(email: &str) -> AccountName {
    AccountName::Email(Email::parse(email).unwrap())
}

#[tokio::test]
async fn ends_a_session_once() {
    let world = World::new().await;
    let (_, opened) = world.register("ann@example.com").await;
    let (_, other) = world.register("bob@example.com").await;
    let (operator, caller) = (operator(&world), caller(&world));
    let id = opened.session.id;
    operator.revoke_session(&caller, id).await.unwrap();
    assert_eq!(world.sessions.get(&opened.secret).await.unwrap(), None);
    let again = operator.revoke_session(&caller, id).await;
    assert!(matches!(again, Err(OperatorError::SessionNotFound)));
    assert!(world.sessions.get(&other.secret).await.unwrap().is_some());
}

#[tokio::test]
async fn ends_all_of_a_subject_but_not_its_account() {
    let world = World::new().await;
    let (account, first) = world.register("ann@example.com").await;
    let (_, second) = world
        .login("ann@example.com", PASSWORD, HOME, None)
        .await
        .unwrap();
    let (operator, caller) = (operator(&world), caller(&world));
    let mut ended = operator
        .revoke_subject(&caller, &account.subject)
        .await
        .unwrap();
    ended.sort();
    let mut expected = vec![first.session.id, second.session.id];
    expected.sort();
    assert_eq!(ended, expected);
    let again = operator.revoke_subject(&caller, &account.subject).await;
    assert_eq!(again.unwrap(), []);
    let back = world.login("ann@example.com", PASSWORD, HOME, None).await;
    assert!(back.is_ok());
}

#[tokio::test]
async fn a_disabled_account_is_shut_until_it_is_enabled() {
    let world = World::new().await;
    let (account, opened) = world.register("ann@example.com").await;
    let (operator, caller) = (operator(&world), caller(&world));
    let disabled = operator
        .disable_account(&caller, by_email(" ANN@example.com "))
        .await
        .unwrap();
    let expected = Disabled {
        subject: account.subject.clone(),
        ended: vec![opened.session.id],
    };
    assert_eq!(disabled, expected);
    assert_eq!(world.sessions.get(&opened.secret).await.unwrap(), None);
    let refused = world.login("ann@example.com", PASSWORD, HOME, None).await;
    assert!(matches!(refused, Err(LoginError::Refused)));

    let again = operator
        .disable_account(&caller, AccountName::Subject(account.subject.clone()))
        .await
        .unwrap();
    assert_eq!(again.ended, []);

    for name in [
        by_email("ann@example.com"),
        AccountName::Subject(account.subject.clone()),
    ] {
        let enabled = operator.enable_account(&caller, name).await.unwrap();
        assert_eq!(enabled, account.subject);
    }
    let back = world.login("ann@example.com", PASSWORD, HOME, None).await;
    assert!(back.is_ok());
}

#[tokio::test]
async fn nobodys_account_is_not_found() {
    let world = World::new().await;
    let (operator, caller) = (operator(&world), caller(&world));
    let stranger = Subject::parse("usr_00000000-0000-4000-8000-000000000000").unwrap();
    for name in [
        by_email("nobody@example.com"),
        AccountName::Subject(stranger),
    ] {
        let disabled = operator.disable_account(&caller, name.clone()).await;
        assert!(matches!(disabled, Err(OperatorError::AccountNotFound)));
        let enabled = operator.enable_account(&caller, name).await;
        assert!(matches!(enabled, Err(OperatorError::AccountNotFound)));
    }
}

/// OP-03.
#[tokio::test]
async fn every_act_is_logged_with_who_asked_and_no_address() {
    log::start_capturing();
    let world = World::new().await;
    let (account, opened) = world.register("canary@example.com").await;
    let (operator, caller) = (operator(&world), caller(&world));
    let name = || by_email("canary@example.com");
    operator
        .revoke_session(&caller, opened.session.id)
        .await
        .unwrap();
    operator
        .revoke_subject(&caller, &account.subject)
        .await
        .unwrap();
    operator.disable_account(&caller, name()).await.unwrap();
    operator.enable_account(&caller, name()).await.unwrap();

    let text = log::captured();
    for event in [
        "session.revoked",
        "subject.revoked",
        "account.disabled",
        "account.enabled",
    ] {
        let line = text
            .lines()
            .find(|line| line.contains(&format!("\"event\":\"{event}\"")))
            .unwrap_or_else(|| panic!("{event} in {text}"));
        assert!(line.contains("\"workload\":\"night-shift\""), "{line}");
    }
    assert!(text.contains(&opened.session.id.to_string()));
    assert!(text.contains(account.subject.as_str()));
    assert!(!text.contains("canary"), "an address in the log");
}
