use std::time::Duration;

use proto::auth::v1::{IssueAnonymousTokenRequest, LoginRequest, SessionKind};
use token_verifier::Clock as _;
use tonic::Code;

use crate::support::{Auth, HOME, Home, PASSWORD, check_refused, client, get};

#[tokio::test]
async fn a_guests_token_is_accepted_by_its_audience() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let guest = gateway.guest().await.unwrap();
    let exchanged = gateway
        .exchange(&guest.session_secret, "cart-service")
        .await
        .unwrap();
    let session = guest.session.unwrap();
    assert_eq!(exchanged.kind(), SessionKind::Guest);
    assert_eq!(exchanged.session_id, session.id);
    assert_eq!(exchanged.subject, session.subject);
    assert_eq!(exchanged.expires_in.unwrap().seconds, 60);
    let token = auth.verify("cart-service", &exchanged.access_token).await;
    let issued_at = exchanged.issued_at.unwrap();
    assert_eq!(issued_at.seconds, auth.home.clock.now().as_second());
    let jwks = get(auth.http, "/.well-known/jwks.json", &[]).await.body;
    let jwks: serde_json::Value = serde_json::from_slice(&jwks).unwrap();
    assert_eq!(jwks["keys"][0]["kid"], exchanged.key_id.as_str());
    assert_eq!(token.subject().as_str(), session.subject);
    assert_eq!(token.session_id(), Some(session.id.as_str()));
    assert_eq!(token.client_id(), "gateway");
    assert!(token.has_scope("session"));
    assert!(token.auth_time().is_none() && token.amr().is_empty());
    auth.stop().await;
}

#[tokio::test]
async fn a_persons_token_names_the_guest_they_were() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    gateway.register("ada@example.com").await;
    let guest = gateway.guest().await.unwrap();
    let request = LoginRequest {
        email: "ada@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        current_session_secret: guest.session_secret.clone(),
        client: client(HOME),
    };
    let login = gateway.accounts.login(request).await.unwrap().into_inner();
    let new = login.session.unwrap();
    let exchanged = gateway
        .exchange(&new.session_secret, "profile-service")
        .await
        .unwrap();
    let token = auth
        .verify("profile-service", &exchanged.access_token)
        .await;
    let guest_subject = guest.session.unwrap().subject;
    assert_eq!(
        token.prior_subject().map(|it| it.as_str()),
        Some(guest_subject.as_str())
    );
    assert_eq!(token.subject().as_str(), login.user.unwrap().subject);
    assert_eq!(
        (token.acr(), token.amr()),
        (Some("aal1"), &["pwd".to_owned()][..])
    );
    assert!(token.auth_time().is_some());
    for reason in ["SESSION_REPLACED", "SESSION_INVALID"] {
        let dead = gateway
            .exchange(&guest.session_secret, "cart-service")
            .await;
        check_refused(dead, Code::Unauthenticated, reason);
        // From now on nothing that was under way at the sign-in still is.
        auth.home.clock.advance(Duration::from_secs(60));
    }
    auth.stop().await;
}

#[tokio::test]
async fn an_anonymous_token_is_accepted_and_names_nobody() {
    let auth = Auth::start().await;
    let request = IssueAnonymousTokenRequest {
        audience: "cart-service".to_owned(),
    };
    let issued = auth
        .gateway()
        .tokens
        .issue_anonymous_token(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(issued.expires_in.unwrap().seconds, 60);
    let token = auth.verify("cart-service", &issued.access_token).await;
    assert_eq!(token.subject().as_str(), "anonymous");
    assert!(token.session_id().is_none() && token.has_scope("anonymous"));
    auth.stop().await;
}

#[tokio::test]
async fn every_token_is_another_one() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let secret = gateway.guest().await.unwrap().session_secret;
    let one = gateway
        .exchange(&secret, "cart-service")
        .await
        .unwrap()
        .access_token;
    let two = gateway
        .exchange(&secret, "cart-service")
        .await
        .unwrap()
        .access_token;
    let (one, two) = (
        auth.verify("cart-service", &one).await,
        auth.verify("cart-service", &two).await,
    );
    assert_ne!(one.token_id(), two.token_id());
    auth.stop().await;
}

#[tokio::test]
async fn only_the_settings_audiences_have_tokens() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let secret = gateway.guest().await.unwrap().session_secret;
    for audience in [
        "",
        "cart",
        "cart-service ",
        "Cart-Service",
        "*",
        "auth-service",
    ] {
        let refused = gateway.exchange(&secret, audience).await;
        check_refused(refused, Code::InvalidArgument, "AUDIENCE_UNKNOWN");
        let request = IssueAnonymousTokenRequest {
            audience: audience.to_owned(),
        };
        let refused = gateway.tokens.issue_anonymous_token(request).await;
        check_refused(refused, Code::InvalidArgument, "AUDIENCE_UNKNOWN");
    }
    auth.stop().await;
}

#[tokio::test]
async fn no_token_outlives_its_session() {
    let auth = Auth::start_in(Home::new(), |config| {
        config.sessions.guest_idle = Duration::from_secs(100);
        config.sessions.guest_absolute = Duration::from_secs(100);
    })
    .await;
    let mut gateway = auth.gateway();
    let secret = gateway.guest().await.unwrap().session_secret;
    auth.home.clock.advance(Duration::from_secs(70));
    let exchanged = gateway.exchange(&secret, "cart-service").await.unwrap();
    assert_eq!(exchanged.expires_in.unwrap().seconds, 30);
    auth.home.clock.advance(Duration::from_millis(29_500));
    let last = gateway.exchange(&secret, "cart-service").await.unwrap();
    assert_eq!(last.expires_in.unwrap().seconds, 1);
    auth.home.clock.advance(Duration::from_secs(1));
    let over = gateway.exchange(&secret, "cart-service").await;
    check_refused(over, Code::Unauthenticated, "SESSION_INVALID");
    auth.stop().await;
}
