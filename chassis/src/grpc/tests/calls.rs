//! What one call meets.

use super::*;

const GET: &str = "/latchkey.profile.v1.ProfileService/GetProfile";
const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn grpc_status(response: &Response<Body>) -> Option<&str> {
    response
        .headers()
        .get("grpc-status")
        .and_then(|status| status.to_str().ok())
}

#[tokio::test]
async fn nobody_learns_anything_without_the_password() {
    let server = start(GrpcLimits::default()).await;
    for path in [
        GET,
        "/latchkey.profile.v1.ProfileService/Nothing",
        "/no.Such/Method",
        "/",
        "//",
    ] {
        for headers in [
            &[GRPC][..],
            &[],
            &[("content-type", "text/html"), ("grpc-timeout", "x")],
        ] {
            let response = server.post(path, headers).await;
            assert_eq!(grpc_status(&response), Some("16"), "{path} {headers:?}");
        }
    }
    assert!(server.profiles.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn unknown_methods_are_unimplemented_and_counted_as_one() {
    let server = start(GrpcLimits::default()).await;
    for n in 0..20 {
        let path = format!("/invented.Service{n}/Method{n}");
        let response = server.post(&path, &[GRPC, ("password", PASSWORD)]).await;
        assert_eq!(grpc_status(&response), Some("12"), "{path}");
        drop(response);
    }
    assert!(server.counted("unknown", "UNIMPLEMENTED"));
    assert!(!server.metrics.encode().contains("invented"));
}

#[tokio::test]
async fn what_is_no_grpc_is_415_and_a_bad_deadline_is_named() {
    let server = start(GrpcLimits::default()).await;
    for content_type in ["text/html", "application/json", "application/grpcx"] {
        let headers = [("content-type", content_type), ("password", PASSWORD)];
        assert_eq!(
            server.post(GET, &headers).await.status(),
            415,
            "{content_type}"
        );
    }
    for timeout in ["soon", "1", "-1S", "123456789S"] {
        let headers = [GRPC, ("password", PASSWORD), ("grpc-timeout", timeout)];
        assert_eq!(
            grpc_status(&server.post(GET, &headers).await),
            Some("3"),
            "{timeout}"
        );
    }
}

#[tokio::test]
async fn handlers_see_who_asks_and_in_which_trace() {
    let server = start(GrpcLimits::default()).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let response = server
        .get(&[("x-request-id", "abc-1"), ("traceparent", trace)])
        .await
        .unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "abc-1");
    let seen = server.profiles.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.request_id, "abc-1");
    assert_eq!(seen.trace_id, &trace[3..35]);
    assert!(seen.peer.unwrap().ip().is_loopback());
}

#[tokio::test]
async fn odd_request_ids_are_replaced() {
    let server = start(GrpcLimits::default()).await;
    let response = server
        .get(&[("x-request-id", "a b<script>")])
        .await
        .unwrap();
    let id = response
        .metadata()
        .get("x-request-id")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
}

#[tokio::test]
async fn a_panic_is_an_internal_error_without_its_words() {
    let server = start(GrpcLimits::default()).await;
    let status = server.get(&[("do", "panic")]).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Internal, "internal error")
    );
    assert_eq!(reason_of(&status).as_deref(), Some("INTERNAL"));
    server.get(&[]).await.unwrap();
    assert!(server.counted("GetProfile", "INTERNAL"));
}

#[tokio::test]
async fn outcomes_are_counted_by_code() {
    let server = start(GrpcLimits::default()).await;
    server.get(&[]).await.unwrap();
    server.get(&[("do", "fail")]).await.unwrap_err();
    assert!(server.counted("GetProfile", "OK"));
    assert!(server.counted("GetProfile", "NOT_FOUND"));
    assert!(
        server
            .metrics
            .encode()
            .contains("latchkey_rpc_duration_seconds_bucket{")
    );
}

#[tokio::test(start_paused = true)]
async fn the_server_caps_every_call() {
    let limits = GrpcLimits {
        deadline: Duration::from_secs(5),
        ..GrpcLimits::default()
    };
    let server = start(limits).await;
    let status = server
        .get(&[("do", "wait"), ("grpc-timeout", "1H")])
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(server.counted("GetProfile", "DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn a_message_that_does_not_decode_is_the_callers_fault() {
    let server = start(GrpcLimits::default()).await;
    for (name, bytes, expected) in [
        ("nothing", &b""[..], "MALFORMED_MESSAGE"),
        ("half a frame's head", b"\0\0", "MALFORMED_MESSAGE"),
        (
            "fewer bytes than declared",
            b"\0\0\0\0\x09ab",
            "MALFORMED_MESSAGE",
        ),
        ("a flag that is none", b"\x07\0\0\0\0", "MALFORMED_MESSAGE"),
        (
            "compressed with nothing",
            b"\x01\0\0\0\0",
            "MALFORMED_MESSAGE",
        ),
        ("no field", b"\0\0\0\0\x02\x0a\x7f", "MALFORMED_MESSAGE"),
        (
            "a length that lies",
            b"\0\xff\xff\xff\xffab",
            "MESSAGE_TOO_LARGE",
        ),
    ] {
        let body = Body::new(http_body_util::Full::new(bytes::Bytes::from_static(bytes)));
        let response = server
            .post_body(GET, &[GRPC, ("password", PASSWORD)], body)
            .await;
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(
            reason_of(&status).as_deref(),
            Some(expected),
            "{name}: {status:?}"
        );
        let code = match expected {
            "MESSAGE_TOO_LARGE" => Code::ResourceExhausted,
            _ => Code::InvalidArgument,
        };
        assert_eq!(status.code(), code, "{name}");
    }
    assert!(server.profiles.seen.lock().unwrap().is_empty());
    server.get(&[]).await.unwrap();
}
