//! Every wrong key at every door.

use std::convert::Infallible;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::SignedDuration;
use profile_service::AUDIENCE;
use proto::profile::v1::{FILE_DESCRIPTOR_SET, GetProfileRequest};
use serde_json::{Value, json};
use token_verifier::testing::TestIssuer;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::{
    harness::{ALICE, BOB, ISSUER, Program, with},
    raw::{Raw, bearer, framed, methods},
};

const ANOTHER_AUDIENCE: &str = "cart-service";

type Headers = Vec<(&'static str, Vec<u8>)>;

/// Doors that are not there, which must not be told from those that are.
const UNKNOWN: [&str; 7] = [
    "/latchkey.profile.v1.ProfileService/Nothing",
    "/latchkey.profile.v1.ProfileService/",
    "/latchkey.profile.v2.ProfileService/GetProfile",
    "/nobody.Nothing/Nowhere",
    "/grpc.health.v1.Health/Nothing",
    "/grpc.reflection.v1.ServerReflection/Nothing",
    "/",
];

/// A good token's header and claims, spoiled.
fn spoiled(program: &Program, spoil: impl FnOnce(&mut Value, &mut Value)) -> String {
    let mut header = program.issuer.default_header();
    let mut claims = program
        .issuer
        .default_claims(AUDIENCE, ALICE, program.now());
    spoil(&mut header, &mut claims);
    program.issuer.token_with(header, claims)
}

fn claim(program: &Program, name: &str, value: Value) -> String {
    spoiled(program, |_, claims| claims[name] = value)
}

fn without(program: &Program, name: &str) -> String {
    spoiled(program, |_, claims| {
        claims.as_object_mut().unwrap().remove(name);
    })
}

/// Tokens that are wrong in one way each.
fn wrong_tokens(program: &Program) -> Vec<(&'static str, String)> {
    let now = program.now().as_second();
    let good = program.token(ALICE);
    let stranger = TestIssuer::new(ISSUER);
    let header =
        |name: &'static str, value: Value| spoiled(program, move |header, _| header[name] = value);
    let impostor_header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": program.issuer.kid()});
    let claims = program
        .issuer
        .default_claims(AUDIENCE, ALICE, program.now());
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    vec![
        ("empty", String::new()),
        ("not a token", "gst".to_owned()),
        ("two parts", unsigned.to_owned()),
        ("no signature", format!("{unsigned}.")),
        ("cut signature", good[..good.len() - 2].to_owned()),
        ("four parts", format!("{good}.x")),
        (
            "signed by a stranger",
            stranger.token_with(impostor_header, claims.clone()),
        ),
        (
            "a stranger's key",
            stranger.token(AUDIENCE, ALICE, program.now()),
        ),
        ("alg none", header("alg", "none".into())),
        ("alg none, unsigned", {
            let header = json!({"typ": "at+jwt", "alg": "none"});
            format!(
                "{}.{}.",
                URL_SAFE_NO_PAD.encode(header.to_string()),
                URL_SAFE_NO_PAD.encode(claims.to_string())
            )
        }),
        ("alg HS256", header("alg", "HS256".into())),
        ("typ JWT", header("typ", "JWT".into())),
        (
            "a workload's assertion",
            header("typ", "client-authentication+jwt".into()),
        ),
        ("unknown kid", header("kid", "nobody".into())),
        ("critical header", header("crit", json!(["exp"]))),
        ("its own key", header("jwk", stranger.jwk())),
        (
            "another service's",
            program.issuer.token(ANOTHER_AUDIENCE, ALICE, program.now()),
        ),
        (
            "this and another audience",
            claim(program, "aud", json!([AUDIENCE, ANOTHER_AUDIENCE])),
        ),
        ("audience prefix", claim(program, "aud", "profile".into())),
        (
            "another issuer",
            claim(program, "iss", "http://issuer.test/".into()),
        ),
        ("expired", claim(program, "exp", (now - 6).into())),
        (
            "expiry as text",
            claim(program, "exp", (now + 60).to_string().into()),
        ),
        ("not yet", claim(program, "nbf", (now + 60).into())),
        ("from the future", claim(program, "iat", (now + 60).into())),
        ("no expiry", without(program, "exp")),
        ("no audience", without(program, "aud")),
        ("no subject", without(program, "sub")),
        ("no id", without(program, "jti")),
        ("a subject of no kind", claim(program, "sub", "root".into())),
        (
            "a subject in another spelling",
            claim(program, "sub", ALICE.to_uppercase().into()),
        ),
        (
            "too long",
            claim(program, "scope", "x".repeat(9_000).into()),
        ),
    ]
}

/// Ways to present even a good token wrongly.
fn wrong_headers(program: &Program) -> Vec<(&'static str, Headers)> {
    let good = program.token(ALICE);
    let other = program.token(BOB);
    let raw = |value: String| vec![("authorization", value.into_bytes())];
    vec![
        ("nothing", vec![]),
        ("an empty header", raw(String::new())),
        ("the scheme alone", raw("Bearer".into())),
        ("no scheme", raw(good.clone())),
        ("another scheme", raw(format!("Basic {good}"))),
        (
            "two tokens in one",
            raw(format!("Bearer {good}, Bearer {other}")),
        ),
        ("two headers", vec![bearer(&good), bearer(&other)]),
        ("the same twice", vec![bearer(&good), bearer(&good)]),
        (
            "a good one after a bad one",
            vec![bearer("x"), bearer(&good)],
        ),
        (
            "binary",
            vec![("authorization-bin", format!("Bearer {good}").into_bytes())],
        ),
        (
            "beside binary",
            vec![bearer(&good), ("authorization-bin", b"eA".to_vec())],
        ),
        (
            "a forwarded one",
            vec![("x-forwarded-authorization", format!("Bearer {good}").into())],
        ),
        (
            "a cookie",
            vec![("cookie", format!("__Host-Http-session={good}").into_bytes())],
        ),
        (
            "not ASCII",
            vec![("authorization", b"Bearer \xff\xfe".to_vec())],
        ),
    ]
}

#[tokio::test]
async fn every_wrong_key_is_refused_at_every_method() {
    let program = Program::start().await;
    let mut raw = Raw::connect(program.address).await;
    let mut keys = wrong_headers(&program);
    keys.extend(
        wrong_tokens(&program)
            .into_iter()
            .map(|(name, token)| (name, vec![bearer(&token)])),
    );

    let doors = methods(FILE_DESCRIPTOR_SET);
    for path in doors.iter().map(String::as_str).chain(UNKNOWN) {
        for (name, headers) in &keys {
            let answer = raw.send(path, headers, framed(b"")).await;
            assert_eq!(
                answer.code(),
                Code::Unauthenticated,
                "{path}: {name}: {answer:?}"
            );
            assert_eq!(answer.status.message(), "unauthenticated", "{path}: {name}");
        }
    }

    assert_eq!(program.rows().await, 0);
    let token = program.token(ALICE);
    let answer = raw
        .call(
            "/latchkey.profile.v1.ProfileService/GetProfile",
            &token,
            framed(b""),
        )
        .await;
    assert_eq!(answer.code(), Code::Ok, "and the right key still opens");
}

#[tokio::test]
async fn a_method_that_is_not_there_is_unimplemented_with_a_good_token() {
    let program = Program::start().await;
    let mut raw = Raw::connect(program.address).await;
    for path in UNKNOWN {
        let answer = raw.call(path, &program.token(ALICE), framed(b"")).await;
        assert_eq!(answer.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn refuses_before_the_message_is_read() {
    let program = Program::start().await;
    let mut raw = Raw::connect(program.address).await;
    for path in methods(FILE_DESCRIPTOR_SET) {
        let never = tokio_stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let answer = raw.send(&path, &[], StreamBody::new(never).boxed()).await;
        assert_eq!(answer.code(), Code::Unauthenticated, "{path}");
    }
}

#[tokio::test]
async fn a_token_expires_while_its_holder_works() {
    let program = Program::start().await;
    let mut client = program.client().await;
    let token = program.token(ALICE);
    client
        .get_profile(with(&token, GetProfileRequest {}))
        .await
        .unwrap();

    // A token lives for 60 s, and clocks may differ by 5 s.
    program.clock.advance(SignedDuration::from_secs(64));
    client
        .get_profile(with(&token, GetProfileRequest {}))
        .await
        .unwrap();
    program.clock.advance(SignedDuration::from_secs(2));
    let refused = client
        .get_profile(with(&token, GetProfileRequest {}))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);

    let renewed = program.token(ALICE);
    client
        .get_profile(with(&renewed, GetProfileRequest {}))
        .await
        .unwrap();
}

#[tokio::test]
async fn health_and_reflection_are_open() {
    let program = Program::start().await;
    let channel = program.channel().await;
    for service in ["", "latchkey.profile.v1.ProfileService"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        HealthClient::new(channel.clone())
            .check(request)
            .await
            .unwrap();
    }
    let names = reflected(&program).await.unwrap();
    assert!(
        names
            .iter()
            .any(|name| name == "latchkey.profile.v1.ProfileService"),
        "{names:?}"
    );
}

#[tokio::test]
async fn reflection_can_be_closed() {
    let program = Program::start_with(|config| config.reflection = false).await;
    assert_eq!(
        reflected(&program).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let mut raw = Raw::connect(program.address).await;
    let answer = raw.call(path, &program.token(ALICE), framed(b"")).await;
    assert_eq!(answer.code(), Code::Unimplemented);
}

/// The services that reflection names to somebody without a token.
async fn reflected(program: &Program) -> Result<Vec<String>, tonic::Status> {
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(program.channel().await);
    let answers = client
        .server_reflection_info(tokio_stream::once(question))
        .await?;
    let answer = answers
        .into_inner()
        .message()
        .await?
        .expect("one answer to one question");
    match answer.message_response.expect("an answer says something") {
        MessageResponse::ListServicesResponse(list) => Ok(list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect()),
        other => panic!("not a list of services: {other:?}"),
    }
}
