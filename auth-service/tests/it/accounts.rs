use auth_service::limits::Quota;
use proto::auth::v1::{ChangePasswordRequest, LoginRequest, RegisterRequest, SessionKind};
use tonic::Code;

use crate::support::{Auth, HOME, Home, PASSWORD, check_refused, client};

#[tokio::test]
async fn registers_and_signs_in() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let registered = gateway.register("Ada@Example.com").await;
    let user = registered.user.unwrap();
    assert!(user.subject.starts_with("usr_"));
    assert_eq!(
        (user.email.as_str(), user.display_name.as_str()),
        ("Ada@Example.com", "Ada")
    );
    let new = registered.session.unwrap();
    let session = new.session.unwrap();
    assert_eq!(session.kind(), SessionKind::User);
    assert_eq!(
        (session.subject.as_str(), session.amr),
        (user.subject.as_str(), vec!["pwd".into()])
    );
    assert_eq!((session.address.as_str(), session.current), (HOME, true));
    assert_eq!(new.session_secret.len(), 43);

    let login = gateway.login("ada@example.COM", PASSWORD).await.unwrap();
    assert_eq!(login.user.unwrap().subject, user.subject);
    assert_ne!(login.session.unwrap().session_secret, new.session_secret);
    auth.stop().await;
}

#[tokio::test]
async fn a_taken_address_is_refused_whatever_its_case() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    gateway.register("ada@example.com").await;
    let again = gateway.register_over("ADA@example.com", "").await;
    check_refused(again, Code::AlreadyExists, "EMAIL_TAKEN");
    auth.stop().await;
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let auth = Auth::start().await;
    let request = RegisterRequest {
        email: "no address".to_owned(),
        password: "short".to_owned(),
        display_name: "x".repeat(81),
        ..RegisterRequest::default()
    };
    let refused = auth.gateway().accounts.register(request).await;
    let status = check_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
    let mut fields: Vec<String> = chassis::status::violations_of(&status)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    fields.sort();
    assert_eq!(fields, ["display_name", "email", "password"]);
    auth.stop().await;
}

#[tokio::test]
async fn unknown_address_and_wrong_password_get_one_answer() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    gateway.register("ada@example.com").await;
    let wrong = gateway
        .login("ada@example.com", "incorrect horse battery")
        .await;
    let unknown = gateway.login("bob@example.com", PASSWORD).await;
    let wrong = check_refused(wrong, Code::Unauthenticated, "LOGIN_REFUSED");
    let unknown = check_refused(unknown, Code::Unauthenticated, "LOGIN_REFUSED");
    assert_eq!(wrong.message(), unknown.message());
    assert_eq!(wrong.details(), unknown.details());
    let names = |status: &tonic::Status| {
        let headers = status.metadata().clone().into_headers();
        let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(names(&wrong), names(&unknown));
    auth.stop().await;
}

#[tokio::test]
async fn parallel_guesses_get_no_further_than_slow_ones_and_a_restart_forgives_none() {
    let home = Home::new();
    let limit = |config: &mut auth_service::Config| {
        config.limits.account_and_source = Quota::new(3, std::time::Duration::from_secs(3600));
    };
    let auth = Auth::start_in(home, limit).await;
    let mut gateway = auth.gateway();
    gateway.register("ada@example.com").await;
    let guesses = (0..12).map(|_| {
        let mut gateway = gateway.clone();
        async move {
            gateway
                .login("ada@example.com", "incorrect horse battery")
                .await
        }
    });
    let statuses: Vec<_> = futures::future::join_all(guesses)
        .await
        .into_iter()
        .map(Result::unwrap_err)
        .collect();
    let looked_at = statuses
        .iter()
        .filter(|status| status.code() == Code::Unauthenticated);
    assert_eq!(looked_at.count(), 3, "{statuses:?}");
    let limited = statuses
        .iter()
        .find(|status| status.code() == Code::ResourceExhausted)
        .unwrap();
    assert!(chassis::status::retry_delay_of(limited).unwrap().as_secs() > 0);

    let auth = Auth::start_in(auth.stop().await, limit).await;
    let right = auth.gateway().login("ada@example.com", PASSWORD).await;
    check_refused(right, Code::ResourceExhausted, "TOO_MANY_ATTEMPTS");
    auth.home
        .clock
        .advance(std::time::Duration::from_secs(3600));
    auth.gateway()
        .login("ada@example.com", PASSWORD)
        .await
        .expect("a delay, not a lock");
    auth.stop().await;
}

#[tokio::test]
async fn a_flood_of_logins_is_shed_with_a_delay() {
    let auth = Auth::start_in(Home::new(), |config| {
        config.passwords.permits = std::num::NonZeroUsize::MIN;
        config.passwords.queue = 0;
    })
    .await;
    let mut gateway = auth.gateway();
    gateway.guest().await.unwrap();
    let logins = (0..16).map(|number| {
        let mut gateway = gateway.clone();
        async move {
            gateway
                .login(&format!("{number}@example.com"), PASSWORD)
                .await
                .unwrap_err()
        }
    });
    let statuses = futures::future::join_all(logins).await;
    let shed: Vec<_> = statuses
        .iter()
        .filter(|status| status.code() == Code::ResourceExhausted)
        .collect();
    assert!(!shed.is_empty(), "{statuses:?}");
    for status in shed {
        assert_eq!(
            chassis::status::reason_of(status).as_deref(),
            Some("HASHING_BUSY")
        );
        assert!(chassis::status::retry_delay_of(status).is_some());
    }
    gateway.guest().await.expect("who needs no hash is served");
    auth.stop().await;
}

#[tokio::test]
async fn registering_or_signing_in_over_a_persons_session_is_refused() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let ada = gateway
        .register("ada@example.com")
        .await
        .session
        .unwrap()
        .session_secret;
    gateway.register("bob@example.com").await;
    let over = gateway.register_over("eve@example.com", &ada).await;
    check_refused(over, Code::FailedPrecondition, "ALREADY_SIGNED_IN");
    let request = LoginRequest {
        email: "bob@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        current_session_secret: ada,
        client: client(HOME),
    };
    let over = gateway.accounts.login(request).await;
    check_refused(over, Code::FailedPrecondition, "ALREADY_SIGNED_IN");
    gateway
        .register_over("carol@example.com", "not a secret")
        .await
        .expect("a stale cookie");
    auth.stop().await;
}

#[tokio::test]
async fn a_new_password_gives_a_new_secret_and_ends_the_other_sessions() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let first = gateway.register("ada@example.com").await.session.unwrap();
    let second = gateway
        .login("ada@example.com", PASSWORD)
        .await
        .unwrap()
        .session
        .unwrap();
    let mut change = ChangePasswordRequest {
        session_secret: first.session_secret.clone(),
        current_password: "incorrect horse battery".to_owned(),
        new_password: "another horse entirely".to_owned(),
        client: client(HOME),
    };
    let wrong = gateway.accounts.change_password(change.clone()).await;
    check_refused(wrong, Code::PermissionDenied, "PASSWORD_WRONG");
    change.current_password = PASSWORD.to_owned();
    let changed = gateway
        .accounts
        .change_password(change)
        .await
        .unwrap()
        .into_inner();
    let former = first.session.unwrap().id;
    let ended = [second.session.unwrap().id, former.clone()];
    assert_eq!(changed.ended_session_ids, ended);
    let new = changed.session.unwrap();
    assert_ne!(new.session.unwrap().id, former);
    for (dead, reason) in [
        (&first.session_secret, "SESSION_REPLACED"),
        (&second.session_secret, "SESSION_INVALID"),
    ] {
        let refused = gateway.exchange(dead, "cart-service").await;
        check_refused(refused, Code::Unauthenticated, reason);
    }
    gateway
        .exchange(&new.session_secret, "cart-service")
        .await
        .unwrap();
    let old = gateway.login("ada@example.com", PASSWORD).await;
    check_refused(old, Code::Unauthenticated, "LOGIN_REFUSED");
    auth.stop().await;
}

#[tokio::test]
async fn changing_a_password_needs_a_persons_session() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let guest = gateway.guest().await.unwrap().session_secret;
    for secret in ["", "nonsense", guest.as_str()] {
        let change = ChangePasswordRequest {
            session_secret: secret.to_owned(),
            current_password: PASSWORD.to_owned(),
            new_password: "another horse entirely".to_owned(),
            client: client(HOME),
        };
        let refused = gateway.accounts.change_password(change).await;
        check_refused(refused, Code::Unauthenticated, "SESSION_INVALID");
    }
    auth.stop().await;
}
