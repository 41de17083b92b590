use std::convert::Infallible;

use http::{Request, Response};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::*;

// The example of the specification, §3.2.
const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[track_caller]
fn check(traceparent: &str, expected: Option<&str>) {
    let parsed = TraceContext::parse(traceparent).map(|context| context.to_string());
    assert_eq!(parsed.as_deref(), expected, "{traceparent:?}");
}

#[test]
fn reads_what_the_specification_allows() {
    check(EXAMPLE, Some(EXAMPLE));
    let unsampled = EXAMPLE.replace("-01", "-00");
    check(&unsampled, Some(&unsampled));
    check(&EXAMPLE.replace("-01", "-ff"), Some(EXAMPLE));
    check(&EXAMPLE.replacen("00-", "01-", 1), Some(EXAMPLE));
    check(
        &format!("{}-more", EXAMPLE.replacen("00-", "cc-", 1)),
        Some(EXAMPLE),
    );
}

#[test]
fn refuses_the_rest() {
    let bad = [
        String::new(),
        "00".to_owned(),
        EXAMPLE.to_uppercase(),
        EXAMPLE.replacen("00-", "ff-", 1),
        EXAMPLE.replacen("00-", "0x-", 1),
        format!("{EXAMPLE}-"),
        format!("{}x", EXAMPLE.replacen("00-", "01-", 1)),
        EXAMPLE[..54].to_owned(),
        EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16)),
        EXAMPLE.replace("4bf9", "4bg9"),
        EXAMPLE.replace('-', "_"),
        EXAMPLE.replace("4bf9", "ä4f"),
        format!(" {}", &EXAMPLE[..54]),
    ];
    for traceparent in bad {
        check(&traceparent, None);
    }
}

#[test]
fn child_keeps_the_trace_and_changes_the_span() {
    let parent = TraceContext::parse(EXAMPLE).unwrap();
    let child = parent.child();
    assert_eq!(child.trace_id, parent.trace_id);
    assert_ne!(child.span_id, parent.span_id);
    assert_eq!(TraceContext::parse(&child.to_string()), Some(child));
}

#[test]
fn duplicated_traceparent_is_none() {
    let mut headers = headers(&[]);
    headers.append(TRACEPARENT, HeaderValue::from_static(EXAMPLE));
    assert_eq!(TraceContext::from_headers(&headers), None);
}

#[test]
fn tracestate_is_joined_and_bounded() {
    let state = |values: &[&str]| TraceContext::from_headers(&headers(values)).unwrap().state;
    assert_eq!(state(&["a=1", "b=2"]).unwrap(), "a=1,b=2");
    assert_eq!(state(&[]), None);
    assert_eq!(state(&[&"x".repeat(513)]), None);
    assert_eq!(state(&[&["a=1"; 33].join(",")]), None);
    assert!(state(&[&["a=1"; 32].join(",")]).is_some());
    assert_eq!(state(&["a=\t1"]), None);
}

#[tokio::test]
async fn passes_from_server_to_client() {
    let upstream = service_fn(|request: Request<()>| async move {
        Ok::<_, Infallible>(Response::new(request.headers().clone()))
    });
    let client = ServiceBuilder::new().layer(InjectLayer).service(upstream);
    let server = ServiceBuilder::new()
        .layer(ExtractLayer)
        .service(service_fn(move |request: Request<()>| {
            assert!(request.extensions().get::<TraceContext>().is_some());
            client.clone().oneshot(Request::new(()))
        }));
    let request = Request::builder()
        .header(TRACEPARENT, EXAMPLE)
        .body(())
        .unwrap();
    let sent = server.oneshot(request).await.unwrap().into_body();
    let received = TraceContext::from_headers(&sent).unwrap();
    assert_eq!(received.trace_id().to_string(), &EXAMPLE[3..35]);
    assert_ne!(received.span_id().to_string(), &EXAMPLE[36..52]);
}

fn headers(states: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append(TRACEPARENT, HeaderValue::from_static(EXAMPLE));
    for state in states {
        headers.append(TRACESTATE, HeaderValue::from_str(state).unwrap());
    }
    headers
}
