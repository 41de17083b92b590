use std::convert::Infallible;

use http::HeaderValue;
use jiff::Timestamp;
use token_verifier::ManualClock;
use tower::service_fn;

use super::*;
use crate::workload::tests::{NOW, Program};
use crate::workload::{PERMISSIONS, Permission};

/// What the service inside saw: whose call it was, if it was anybody's.
type Seen = Option<String>;

fn door(program: &Program, may: &[Permission]) -> GuardLayer {
    let workloads = Workloads::new(&[program.settings(may)], 100).unwrap();
    let clock = ManualClock::at(Timestamp::from_second(NOW).unwrap());
    GuardLayer::new(workloads, Arc::new(clock), AuthMetrics::default())
}

fn request(path: &str, authorization: &[&str]) -> Request<()> {
    let mut request = Request::builder().uri(path).body(()).unwrap();
    for value in authorization {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(AUTHORIZATION, value);
    }
    request
}

/// `Ok` with what got through, `Err` with the status that came back instead.
async fn send(layer: &GuardLayer, request: Request<()>) -> Result<Seen, Status> {
    let inner = service_fn(|request: Request<()>| async move {
        assert!(
            !request.headers().contains_key(AUTHORIZATION),
            "the assertion stays outside"
        );
        let name = request
            .extensions()
            .get::<Workload>()
            .map(|it| it.name().to_owned());
        Ok::<_, Infallible>(Response::new(Some(name)))
    });
    let response = layer.layer(inner).call(request).await.unwrap();
    match Status::from_header_map(response.headers()) {
        Some(status) => Err(status),
        None => Ok(response.into_body().expect("an answer from inside")),
    }
}

const ALL: [Permission; 3] = [
    Permission::Accounts,
    Permission::Sessions,
    Permission::Exchange,
];
const METHOD: &str = "/latchkey.auth.v1.TokenService/ExchangeSession";

#[tokio::test]
async fn lets_a_workload_through_once_and_says_who_it_is() {
    let gateway = Program::new("gateway");
    let layer = door(&gateway, &ALL);
    let bearer = format!("Bearer {}", gateway.assertion("1"));
    let seen = send(&layer, request(METHOD, &[&bearer])).await.unwrap();
    assert_eq!(seen.as_deref(), Some("gateway"));
    let again = send(&layer, request(METHOD, &[&bearer])).await.unwrap_err();
    assert_eq!(again.code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn each_permission_opens_its_own_methods_and_no_others() {
    let gateway = Program::new("gateway");
    for granted in ALL {
        let layer = door(&gateway, &[granted]);
        for (number, (path, needed)) in PERMISSIONS.iter().enumerate() {
            let bearer = format!("Bearer {}", gateway.assertion(&number.to_string()));
            let result = send(&layer, request(path, &[&bearer])).await;
            if granted == *needed {
                assert!(result.is_ok(), "{path} with {granted:?}");
            } else {
                let code = result.unwrap_err().code();
                assert_eq!(
                    code,
                    tonic::Code::PermissionDenied,
                    "{path} with {granted:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn methods_that_do_not_exist_are_closed_to_all() {
    let gateway = Program::new("gateway");
    let layer = door(&gateway, &ALL);
    let paths = [
        "/",
        "/latchkey.auth.v1.TokenService/New",
        "/other.Service/Method",
        "/grpc.health.v1.Health/Other",
    ];
    for (number, path) in paths.iter().enumerate() {
        let stranger = send(&layer, request(path, &[])).await.unwrap_err();
        assert_eq!(stranger.code(), tonic::Code::Unauthenticated, "{path}");
        let bearer = format!("Bearer {}", gateway.assertion(&number.to_string()));
        let known = send(&layer, request(path, &[&bearer])).await.unwrap_err();
        assert_eq!(known.code(), tonic::Code::PermissionDenied, "{path}");
    }
}

#[tokio::test]
async fn only_health_and_reflection_are_open() {
    let layer = door(&Program::new("gateway"), &ALL);
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        assert_eq!(
            send(&layer, request(path, &[])).await.unwrap(),
            None,
            "{path}"
        );
    }
    for (path, _) in PERMISSIONS {
        let refused = send(&layer, request(path, &[])).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{path}");
    }
}

#[tokio::test]
async fn takes_exactly_one_bearer_header() {
    let gateway = Program::new("gateway");
    let layer = door(&gateway, &ALL);
    let (one, two) = (gateway.assertion("1"), gateway.assertion("2"));
    let (one, two) = (format!("Bearer {one}"), format!("Bearer {two}"));
    let joined = format!("{one}, {two}");
    let basic = one.replace("Bearer", "Basic");
    let tabbed = one.replace("Bearer ", "Bearer\t");
    for values in [
        vec![one.as_str(), two.as_str()],
        vec![&one, &one],
        vec![""],
        vec!["Bearer"],
        vec!["Bearer "],
        vec!["\u{e9}"],
        vec![&joined],
        vec![&basic],
        vec![&tabbed],
        vec![one.trim_start_matches("Bearer ")],
    ] {
        let refused = send(&layer, request(METHOD, &values)).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{values:?}");
    }
    let mut binary = request(METHOD, &[&one]);
    binary
        .headers_mut()
        .insert("authorization-bin", HeaderValue::from_static("AAAA"));
    assert_eq!(
        send(&layer, binary).await.unwrap_err().code(),
        tonic::Code::Unauthenticated
    );
    let lower = one.replace("Bearer", "bEARER");
    send(&layer, request(METHOD, &[&lower]))
        .await
        .expect("a scheme has no case");
}

#[tokio::test]
async fn believes_no_workload_that_came_with_the_request() {
    let gateway = Program::new("gateway");
    let workloads = Workloads::new(&[gateway.settings(&ALL)], 1).unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    let workload = workloads.verify(&gateway.assertion("1"), now).unwrap();
    let layer = door(&gateway, &ALL);
    let mut open = request("/grpc.health.v1.Health/Check", &[]);
    open.extensions_mut().insert(workload.clone());
    assert_eq!(send(&layer, open).await.unwrap(), None);
    let mut closed = request(METHOD, &[]);
    closed.extensions_mut().insert(workload);
    assert_eq!(
        send(&layer, closed).await.unwrap_err().code(),
        tonic::Code::Unauthenticated
    );
}

#[test]
fn an_rpc_without_its_guard_fails_and_says_nothing() {
    let status = workload(&tonic::Request::new(())).unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::Internal, "internal error")
    );
}
