use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use prost_types::{FileDescriptorProto, ServiceDescriptorProto};
use tonic::{Code, Response, service::Routes};
use tonic_reflection::{
    pb::v1::{
        ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
        ServerReflectionResponse, ServiceResponse, server_reflection_request::MessageRequest,
        server_reflection_response::MessageResponse,
    },
    server::Builder,
};

use super::{
    testing::{KINDS, LIBRARY, compile},
    *,
};
use crate::{
    routes::RouteTable,
    upstream::testing::{TestServer, channel},
};

fn limits() -> Limits {
    Limits {
        time: Duration::from_secs(30),
        ..Limits::default()
    }
}

async fn reflect(server: &TestServer, limits: &Limits) -> Result<DescriptorPool, DescriptorsError> {
    load(&Source::Reflection, server.channel(), limits).await
}

/// What a hostile server says to a question.
type Say = fn(MessageRequest) -> Option<MessageResponse>;

async fn hostile(say: Say) -> TestServer {
    TestServer::start(move |_, request| {
        let answers = request.into_inner().map(move |question| {
            let question = ServerReflectionRequest::decode(question?).unwrap();
            let message_response = say(question.message_request.unwrap());
            let answer = ServerReflectionResponse {
                message_response,
                ..Default::default()
            };
            Ok(Bytes::from(answer.encode_to_vec()))
        });
        async move { Ok(Response::new(answers.boxed())) }.boxed()
    })
    .await
}

fn services(names: impl IntoIterator<Item = String>) -> Option<MessageResponse> {
    let service = names
        .into_iter()
        .map(|name| ServiceResponse { name })
        .collect();
    Some(MessageResponse::ListServicesResponse(ListServiceResponse {
        service,
    }))
}

fn one_service() -> Option<MessageResponse> {
    services(["t.v1.S".to_owned()])
}

fn files(files: impl IntoIterator<Item = Vec<u8>>) -> Option<MessageResponse> {
    let file_descriptor_proto = files.into_iter().collect();
    Some(MessageResponse::FileDescriptorResponse(
        FileDescriptorResponse {
            file_descriptor_proto,
        },
    ))
}

/// A file with the service `t.v1.S`, and imports.
fn file(name: &str, imports: &[&str]) -> Vec<u8> {
    let service = (name == "s.proto").then(|| ServiceDescriptorProto {
        name: Some("S".to_owned()),
        ..Default::default()
    });
    let file = FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some("t.v1".to_owned()),
        dependency: imports.iter().map(|&import| import.to_owned()).collect(),
        service: service.into_iter().collect(),
        ..Default::default()
    };
    file.encode_to_vec()
}

fn asked_for(question: &MessageRequest) -> &str {
    match question {
        MessageRequest::FileByFilename(name) | MessageRequest::FileContainingSymbol(name) => name,
        _ => "",
    }
}

async fn check_hostile(say: Say, limits: &Limits, expected: &str) {
    let error = reflect(&hostile(say).await, limits)
        .await
        .expect_err(expected);
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn annotations_survive_reflection() {
    let library = compile(LIBRARY);
    let reflection = Builder::configure()
        .register_encoded_file_descriptor_set(&library)
        .build_v1()
        .unwrap();
    let server = TestServer::serve(Routes::new(reflection)).await;
    let pool = reflect(&server, &limits()).await.unwrap();
    let upstream = Arc::new(server.upstream());
    assert_eq!(RouteTable::build([(upstream, pool)]).unwrap().len(), 9);
}

#[tokio::test]
async fn a_server_with_v1alpha_alone_is_understood() {
    let library = compile(LIBRARY);
    let reflection = Builder::configure()
        .register_encoded_file_descriptor_set(&library)
        .build_v1alpha()
        .unwrap();
    let server = TestServer::serve(Routes::new(reflection)).await;
    let pool = reflect(&server, &limits()).await.unwrap();
    assert!(pool.get_service_by_name("library.v1.Library").is_some());
}

#[tokio::test]
async fn files_and_reflection_say_the_same() {
    for set in [
        proto::cart::v1::FILE_DESCRIPTOR_SET,
        proto::profile::v1::FILE_DESCRIPTOR_SET,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("set.bin");
        std::fs::write(&path, set).unwrap();
        let nowhere = channel("127.0.0.1:1".parse().unwrap());
        let from_file = load(&Source::File(path), nowhere, &limits()).await.unwrap();

        let reflection = Builder::configure().register_encoded_file_descriptor_set(set);
        let server = TestServer::serve(Routes::new(reflection.build_v1().unwrap())).await;
        let reflected = reflect(&server, &limits()).await.unwrap();
        let routes = |pool| {
            let table = RouteTable::build([(Arc::new(server.upstream()), pool)]).unwrap();
            format!("{table:?}").len()
        };
        assert_eq!(routes(from_file), routes(reflected));
    }
}

#[tokio::test]
async fn files_that_are_no_descriptors_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let check = async |bytes: &[u8], expected: &str| {
        let path = directory.path().join("set.bin");
        std::fs::write(&path, bytes).unwrap();
        let limits = Limits {
            bytes: 100_000,
            ..limits()
        };
        let nowhere = channel("127.0.0.1:1".parse().unwrap());
        let error = load(&Source::File(path), nowhere, &limits)
            .await
            .expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    check(b"", "there is no service in the descriptors").await;
    check(b"not descriptors", "an answer is not a file descriptor").await;
    check(
        &[0; 100_001],
        "the descriptors are larger than 100000 bytes",
    )
    .await;
    let torn = compile(KINDS);
    check(
        &torn[..torn.len() - 1],
        "an answer is not a file descriptor",
    )
    .await;

    let missing = Source::File(directory.path().join("missing"));
    let nowhere = channel("127.0.0.1:1".parse().unwrap());
    let error = load(&missing, nowhere, &limits()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");
}

#[tokio::test]
async fn a_service_cannot_redefine_the_well_known_types() {
    let honest = "google/protobuf/timestamp.proto";
    for name in [honest, "other.proto"] {
        let forged = FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some("google.protobuf".to_owned()),
            message_type: vec![prost_types::DescriptorProto {
                name: Some("Timestamp".to_owned()),
                ..Default::default()
            }],
            ..Default::default()
        };
        let service = FileDescriptorProto::decode(&*file("s.proto", &[name])).unwrap();
        let set = prost_types::FileDescriptorSet {
            file: vec![forged, service],
        }
        .encode_to_vec();
        match pool(&set) {
            Ok(pool) => {
                let timestamp = pool
                    .get_message_by_name("google.protobuf.Timestamp")
                    .unwrap();
                assert_eq!((name, timestamp.fields().len()), (honest, 2));
            }
            Err(error) => assert!(matches!(error, DescriptorsError::Invalid(_)), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_reflection_is_told_apart() {
    let server = TestServer::serve(Routes::default()).await;
    match reflect(&server, &limits()).await {
        Err(DescriptorsError::Reflection(status)) => assert_eq!(status.code(), Code::Unimplemented),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[tokio::test]
async fn hostile_answers_are_refused() {
    check_hostile(
        |_| None,
        &limits(),
        "the service's reflection answered something else than was asked",
    )
    .await;
    check_hostile(
        |_| files([]),
        &limits(),
        "the service's reflection answered something else than was asked",
    )
    .await;
    check_hostile(
        |question| match question {
            MessageRequest::ListServices(_) => one_service(),
            _ => files([b"\xff\xff".to_vec()]),
        },
        &limits(),
        "an answer is not a file descriptor",
    )
    .await;
    check_hostile(
        |_| services([]),
        &limits(),
        "there is no service in the descriptors",
    )
    .await;
    check_hostile(
        |_| services(["grpc.health.v1.Health".to_owned(), "google.x.Y".to_owned()]),
        &limits(),
        "there is no service in the descriptors",
    )
    .await;
}

#[tokio::test]
async fn missing_dependencies_are_named() {
    fn not_found() -> Option<MessageResponse> {
        let error = ErrorResponse {
            error_code: 5,
            error_message: "no".to_owned(),
        };
        Some(MessageResponse::ErrorResponse(error))
    }
    check_hostile(
        |question| match &question {
            MessageRequest::ListServices(_) => one_service(),
            MessageRequest::FileContainingSymbol(_) => files([file("s.proto", &["gone.proto"])]),
            _ => not_found(),
        },
        &limits(),
        "the service does not describe `gone.proto`, which it needs",
    )
    .await;
    // Or it answers, with another file, for ever.
    check_hostile(
        |question| match &question {
            MessageRequest::ListServices(_) => one_service(),
            _ => files([file("s.proto", &["gone.proto"])]),
        },
        &limits(),
        "the service does not describe `gone.proto`, which it needs",
    )
    .await;
    check_hostile(
        |question| match &question {
            MessageRequest::ListServices(_) => one_service(),
            _ => not_found(),
        },
        &limits(),
        "the service does not describe `t.v1.S`, which it needs",
    )
    .await;
}

#[tokio::test]
async fn cyclic_imports_end() {
    let server = hostile(|question| match asked_for(&question) {
        "" => one_service(),
        "a.proto" => files([file("a.proto", &["s.proto", "a.proto"])]),
        _ => files([file("s.proto", &["a.proto", "s.proto"])]),
    })
    .await;
    // Whether such files make a pool is prost-reflect's word; that it ends is ours.
    let _ = reflect(&server, &limits()).await;
}

#[tokio::test]
async fn descriptions_without_end_are_cut_off() {
    let few = Limits {
        files: 20,
        bytes: 4096,
        ..limits()
    };
    // Every file needs another one.
    check_hostile(
        |question| match asked_for(&question) {
            "" => one_service(),
            "t.v1.S" => files([file("s.proto", &["x.proto"])]),
            name => files([file(name, &[&format!("x{name}")])]),
        },
        &few,
        "the descriptors are more than 20 files",
    )
    .await;
    check_hostile(
        |question| match asked_for(&question) {
            "" => one_service(),
            _ => files((0..30).map(|n| file(&format!("{n}.proto"), &[]))),
        },
        &few,
        "the descriptors are more than 20 files",
    )
    .await;
    check_hostile(
        |_| services((0..30).map(|n| format!("t.v1.S{n}"))),
        &few,
        "the descriptors are more than 20 files",
    )
    .await;
    // The same file again and again.
    check_hostile(
        |question| match asked_for(&question) {
            "" => services((0..20).map(|n| format!("t.v1.S{n}"))),
            _ => files((0..20).map(|_| file("s.proto", &[]))),
        },
        &few,
        "the descriptors are larger than 4096 bytes",
    )
    .await;
    let huge = hostile(|_| services(["x".repeat(10_000)])).await;
    assert!(matches!(
        reflect(&huge, &few).await,
        Err(DescriptorsError::Reflection(_))
    ));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let server = TestServer::start(|_, _| std::future::pending().boxed()).await;
    let brief = Limits {
        time: Duration::from_millis(50),
        ..limits()
    };
    let error = reflect(&server, &brief).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the service did not describe itself within 50 ms"
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_apart() {
    let server = TestServer::start(|_, _| {
        async { Ok(Response::new(futures::stream::empty().boxed())) }.boxed()
    })
    .await;
    let error = reflect(&server, &limits()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the service's reflection ended before it answered"
    );
}

#[tokio::test]
async fn asking_goes_on_until_the_service_is_there() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let server = hostile(|question| match asked_for(&question) {
        "" if ASKED.fetch_add(1, Ordering::SeqCst) == 0 => services([]),
        "" => one_service(),
        _ => files([file("s.proto", &[])]),
    })
    .await;
    let pool = load_with_retry("t", Source::Reflection, server.channel(), limits()).await;
    assert!(pool.get_service_by_name("t.v1.S").is_some());
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
}
