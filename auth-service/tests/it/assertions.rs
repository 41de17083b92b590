use std::time::Duration;

use prost::Message;
use proto::auth::v1::token_service_client::TokenServiceClient;
use proto::auth::v1::{ExchangeSessionRequest, IssueAnonymousTokenRequest};
use serde_json::{Value, json};
use token_verifier::Clock;
use token_verifier::testing::TestIssuer;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::support::{Auth, check_refused};

const REFUSED: &str = "WORKLOAD_UNAUTHENTICATED";

async fn check_assertion(auth: &Auth, assertion: &str) {
    let result = auth.call_with(&format!("Bearer {assertion}")).await;
    check_refused(result, Code::Unauthenticated, REFUSED);
}

#[tokio::test]
async fn an_assertion_opens_the_door_once() {
    let auth = Auth::start().await;
    let bearer = format!("Bearer {}", auth.home.assertion("1"));
    auth.call_with(&bearer).await.unwrap();
    check_refused(
        auth.call_with(&bearer).await,
        Code::Unauthenticated,
        REFUSED,
    );
    auth.call_with(&format!("Bearer {}", auth.home.assertion("2")))
        .await
        .unwrap();
    auth.stop().await;
}

#[tokio::test]
async fn one_of_many_uses_at_once_passes() {
    let auth = Auth::start().await;
    let bearer = format!("Bearer {}", auth.home.assertion("1"));
    let uses = futures::future::join_all((0..8).map(|_| auth.call_with(&bearer))).await;
    assert_eq!(uses.iter().filter(|result| result.is_ok()).count(), 1);
    auth.stop().await;
}

#[tokio::test]
async fn nobody_without_an_assertion_comes_in() {
    let auth = Auth::start().await;
    let request = IssueAnonymousTokenRequest {
        audience: "cart-service".to_owned(),
    };
    let mut stranger = TokenServiceClient::new(auth.channel());
    let refused = stranger.issue_anonymous_token(request).await;
    check_refused(refused, Code::Unauthenticated, REFUSED);
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer a.b.c",
        "Bearer null",
    ] {
        check_refused(auth.call_with(value).await, Code::Unauthenticated, REFUSED);
    }
    auth.stop().await;
}

#[tokio::test]
async fn forged_assertions_are_refused() {
    let auth = Auth::start().await;
    let home = &auth.home;
    let stranger = TestIssuer::new("svc_tester");
    let own_kid =
        json!({ "typ": "client-authentication+jwt", "alg": "EdDSA", "kid": stranger.kid() });
    check_assertion(&auth, &stranger.token_with(own_kid, home.claims("1"))).await;
    check_assertion(&auth, &stranger.token_with(home.header(), home.claims("2"))).await;
    let as_gateway = |claims: &mut Value| {
        claims["iss"] = json!("svc_gateway");
        claims["sub"] = json!("svc_gateway");
    };
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Value));
    let changes: [Change<'_>; 8] = [
        ("another workload", &as_gateway),
        ("another subject", &|claims| {
            claims["sub"] = json!("svc_gateway")
        }),
        ("another audience", &|claims| {
            claims["aud"] = json!("cart-service")
        }),
        ("many audiences", &|claims| {
            claims["aud"] = json!(["auth-service", "cart-service"])
        }),
        ("no jti", &|claims| {
            _ = claims.as_object_mut().unwrap().remove("jti")
        }),
        ("no exp", &|claims| {
            _ = claims.as_object_mut().unwrap().remove("exp")
        }),
        ("a long life", &|claims| {
            claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 61)
        }),
        ("the future", &|claims| {
            claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 30);
            claims["exp"] = json!(claims["exp"].as_i64().unwrap() + 30);
        }),
    ];
    for (name, change) in changes {
        let mut claims = home.claims(name);
        change(&mut claims);
        check_assertion(&auth, &home.tester.token_with(home.header(), claims)).await;
    }
    for (name, value) in [
        ("typ", "at+jwt"),
        ("typ", "JWT"),
        ("alg", "none"),
        ("alg", "HS256"),
    ] {
        let mut header = home.header();
        header[name] = json!(value);
        check_assertion(&auth, &home.tester.token_with(header, home.claims(value))).await;
    }
    auth.stop().await;
}

#[tokio::test]
async fn an_assertion_expires() {
    let auth = Auth::start().await;
    let (early, late) = (auth.home.assertion("1"), auth.home.assertion("2"));
    auth.home.clock.advance(Duration::from_secs(64));
    auth.call_with(&format!("Bearer {early}"))
        .await
        .expect("within the leeway");
    auth.home.clock.advance(Duration::from_secs(1));
    check_assertion(&auth, &late).await;
    auth.stop().await;
}

#[tokio::test]
async fn tokens_that_we_minted_open_nothing_here() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let secret = gateway
        .register("ada@example.com")
        .await
        .session
        .unwrap()
        .session_secret;
    let token = gateway
        .exchange(&secret, "cart-service")
        .await
        .unwrap()
        .access_token;
    check_assertion(&auth, &token).await;
    // Not even one for this very service, as if the settings had named it.
    let as_user = auth
        .home
        .tester
        .token("auth-service", "svc_tester", auth.home.clock.now());
    check_assertion(&auth, &as_user).await;
    check_assertion(&auth, &secret).await;
    auth.stop().await;
}

#[tokio::test]
async fn a_workload_may_only_what_the_settings_say() {
    let auth = Auth::start().await;
    let secret = auth.gateway().guest().await.unwrap().session_secret;
    let mut cart = auth.clients("cart-service");
    let denied = "WORKLOAD_NOT_ALLOWED";
    check_refused(
        cart.exchange(&secret, "cart-service").await,
        Code::PermissionDenied,
        denied,
    );
    check_refused(cart.guest().await, Code::PermissionDenied, denied);
    let login = cart.login("ada@example.com", "whatever it is").await;
    check_refused(login, Code::PermissionDenied, denied);
    auth.stop().await;
}

#[tokio::test]
async fn two_authorizations_are_one_too_many() {
    let auth = Auth::start().await;
    let message = ExchangeSessionRequest::default();
    let mut request = Request::new(message.clone());
    for jti in ["1", "2"] {
        let bearer = format!("Bearer {}", auth.home.assertion(jti));
        request
            .metadata_mut()
            .append("authorization", bearer.parse().unwrap());
    }
    let mut client = TokenServiceClient::new(auth.channel());
    check_refused(
        client.exchange_session(request).await,
        Code::Unauthenticated,
        REFUSED,
    );
    let joined = format!(
        "Bearer {}, Bearer {}",
        auth.home.assertion("3"),
        auth.home.assertion("4")
    );
    check_refused(
        auth.call_with(&joined).await,
        Code::Unauthenticated,
        REFUSED,
    );
    auth.stop().await;
}

/// Calls a method by its path, without saying who calls.
async fn call_as_stranger(auth: &Auth, path: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(auth.channel());
    client.ready().await.unwrap();
    let path = path.parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    client
        .unary(Request::new(()), path, codec)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn every_method_is_closed_to_strangers_but_health() {
    let auth = Auth::start().await;
    let set = prost_types::FileDescriptorSet::decode(proto::auth::v1::FILE_DESCRIPTOR_SET).unwrap();
    let services = set
        .file
        .iter()
        .filter(|file| file.package() == "latchkey.auth.v1");
    let methods = services.flat_map(|file| &file.service).flat_map(|service| {
        let path = |name: &str| format!("/latchkey.auth.v1.{}/{name}", service.name());
        service.method.iter().map(move |method| path(method.name()))
    });
    let mut paths: Vec<String> = methods.collect();
    assert_eq!(paths.len(), 19);
    paths.extend(
        [
            "/latchkey.auth.v1.TokenService/New",
            "/other.Service/Method",
        ]
        .map(str::to_owned),
    );
    for path in paths {
        check_refused(
            call_as_stranger(&auth, &path).await,
            Code::Unauthenticated,
            REFUSED,
        );
    }
    call_as_stranger(&auth, "/grpc.health.v1.Health/Check")
        .await
        .expect("health is open");
    auth.stop().await;
}
