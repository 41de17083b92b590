//! Health, reflection and the end.

use super::*;

async fn check(server: &Running, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(server.channel.clone())
        .check(request)
        .await
        .unwrap();
    answer.into_inner().status()
}

#[tokio::test]
async fn health_follows_readiness() {
    let server = start(GrpcLimits::default()).await;
    let mut watch = HealthClient::new(server.channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    while watch.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    assert_eq!(
        check(&server, "latchkey.profile.v1.ProfileService").await,
        ServingStatus::Serving
    );
    let gate = server.readiness.gate("keys");
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    gate.set(true);
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
}

#[tokio::test]
async fn a_stop_is_announced_and_ends_open_streams_without_waiting() {
    let server = start(GrpcLimits::default()).await;
    let mut watch = HealthClient::new(server.channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    while watch.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    server.shutdown.cancel();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
    server.server.await.unwrap().unwrap();
    assert_eq!(server.readiness.not_ready_names(), ["stopping"]);
}

#[tokio::test]
async fn a_call_in_flight_is_finished() {
    let server = start(GrpcLimits::default()).await;
    let channel = server.channel.clone();
    let call = tokio::spawn(async move {
        let mut request = tonic::Request::new(GetProfileRequest {});
        request
            .metadata_mut()
            .insert("password", PASSWORD.parse().unwrap());
        request.metadata_mut().insert("do", "wait".parse().unwrap());
        ProfileServiceClient::new(channel)
            .get_profile(request)
            .await
    });
    server.profiles.waiting.notified().await;
    server.shutdown.cancel();
    server.profiles.go_on.notify_one();
    call.await.unwrap().unwrap();
    server.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn reflection_keeps_the_http_annotations() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let server = start(GrpcLimits::default()).await;
    let symbol = "latchkey.profile.v1.ProfileService".to_owned();
    let request = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(symbol)),
    };
    let mut answers = ServerReflectionClient::new(server.channel.clone())
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::FileDescriptorResponse(files) = answer else {
        panic!("{answer:?}");
    };
    let path = b"/api/profile";
    let annotated = |file: &Vec<u8>| file.windows(path.len()).any(|window| window == path);
    assert!(files.file_descriptor_proto.iter().any(annotated));
}

#[tokio::test]
async fn speaks_nothing_but_http2() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = start(GrpcLimits::default()).await;
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1"), "{answer:?}");
}
