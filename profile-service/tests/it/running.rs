//! Starting, being watched and stopping.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use profile_service::ServeError;
use proto::profile::v1::GetProfileRequest;
use tokio::net::TcpStream;
use tonic::Code;

use crate::{
    harness::{ALICE, Program, with},
    raw::{Raw, framed},
};

const GET_PROFILE: &str = "/latchkey.profile.v1.ProfileService/GetProfile";

#[tokio::test]
async fn a_running_program_is_alive_ready_and_counted() {
    let program = Program::start().await;
    program
        .client()
        .await
        .get_profile(with(&program.token(ALICE), GetProfileRequest {}))
        .await
        .unwrap();
    program
        .client()
        .await
        .get_profile(GetProfileRequest {})
        .await
        .unwrap_err();

    assert!(
        program
            .operations("/livez")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        program
            .operations("/readyz")
            .await
            .starts_with("HTTP/1.1 200")
    );
    let metrics = program.operations("/metrics").await;
    for (name, label, value) in [
        ("latchkey_token_verifications_total", "reason=\"ok\"", " 1"),
        (
            "latchkey_token_verifications_total",
            "reason=\"missing\"",
            " 1",
        ),
        (
            "latchkey_profile_guest_merges_total",
            "program=\"profile-service\"",
            " 0",
        ),
    ] {
        let is_counted = metrics
            .lines()
            .any(|line| line.starts_with(name) && line.contains(label) && line.ends_with(value));
        assert!(is_counted, "{name} {label} in\n{metrics}");
    }
}

#[tokio::test]
async fn without_keys_it_is_not_ready_and_says_so() {
    let program = Program::start_without_keys().await;
    let refused = program
        .client()
        .await
        .get_profile(with(&program.token(ALICE), GetProfileRequest {}))
        .await
        .unwrap_err();
    assert_eq!(
        refused.code(),
        Code::Unavailable,
        "an outage is not a refusal of the token"
    );
    let ready = program.operations("/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("keys"),
        "{ready}"
    );
    assert!(
        program
            .operations("/livez")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_call_that_runs_at_the_stop_is_finished() {
    let program = Program::start().await;
    let mut raw = Raw::connect(program.address).await;
    let token = program.token(ALICE);
    let (message, rest) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    let running = {
        let (mut raw, token) = (raw.clone(), token.clone());
        let body = StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(rest)).boxed();
        tokio::spawn(async move { raw.call(GET_PROFILE, &token, body).await })
    };
    // One connection carries its frames in order: when this one is answered, the
    // server has seen the one before it, once its task has run.
    tokio::task::yield_now().await;
    assert_eq!(
        raw.call(GET_PROFILE, &token, framed(b"")).await.code(),
        Code::Ok
    );

    program.shutdown.cancel();
    let address = program.address;
    message
        .send(Ok(Frame::data(Bytes::from_static(&[0; 5]))))
        .await
        .unwrap();
    drop(message);

    assert_eq!(running.await.unwrap().code(), Code::Ok);
    drop(raw);
    program.ended().await.unwrap();
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_stops_the_start() {
    let program = Program::start().await;
    // A file is in the way of a directory.
    let database = program.database().join("below.db");
    let failed = Program::start_failing(database).await;
    assert!(matches!(failed, ServeError::Store(_)), "{failed:?}");
}
