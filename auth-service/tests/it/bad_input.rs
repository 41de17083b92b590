use proto::auth::v1::account_service_client::AccountServiceClient;
use proto::auth::v1::{LoginRequest, RegisterRequest};
use tonic::{Code, Request};

use crate::support::{Auth, HOME, check_refused, client};

#[tokio::test]
async fn an_oversized_message_is_refused_and_costs_no_hash() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let request = LoginRequest {
        email: "ada@example.com".to_owned(),
        password: "x".repeat(1 << 20),
        ..LoginRequest::default()
    };
    let status = gateway.accounts.login(request).await.unwrap_err();
    let expected = [
        Code::OutOfRange,
        Code::ResourceExhausted,
        Code::InvalidArgument,
    ];
    assert!(expected.contains(&status.code()), "{status:?}");
    gateway.guest().await.expect("still serving");
    auth.stop().await;
}

#[tokio::test]
async fn hostile_addresses_and_passwords_are_violations_or_refusals() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    for email in [
        "",
        "@",
        "a@b@c",
        "a\0@example.com",
        "a b@example.com",
        &"a".repeat(300),
    ] {
        let request = RegisterRequest {
            email: email.to_owned(),
            password: "correct horse battery".to_owned(),
            display_name: String::new(),
            current_session_secret: String::new(),
            client: client(HOME),
        };
        let refused = gateway.accounts.register(request).await;
        check_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
    for password in ["", "short", &"x".repeat(257), "password1"] {
        let request = RegisterRequest {
            email: "ada@example.com".to_owned(),
            password: password.to_owned(),
            display_name: String::new(),
            current_session_secret: String::new(),
            client: client(HOME),
        };
        let refused = gateway.accounts.register(request).await;
        check_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
    auth.stop().await;
}

#[tokio::test]
async fn oversized_metadata_is_refused_and_the_service_lives() {
    let auth = Auth::start().await;
    let mut request = Request::new(LoginRequest::default());
    request
        .metadata_mut()
        .insert("x-long", "x".repeat(64 << 10).parse().unwrap());
    AccountServiceClient::new(auth.channel())
        .login(request)
        .await
        .unwrap_err();
    let mut request = Request::new(LoginRequest::default());
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {}", "A".repeat(9000)).parse().unwrap(),
    );
    let status = AccountServiceClient::new(auth.channel())
        .login(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    auth.gateway().guest().await.expect("still serving");
    auth.stop().await;
}
