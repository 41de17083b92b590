//! A service with a stream: it says who calls, once or until its caller goes.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use chassis::SystemClock;
use futures::{StreamExt as _, stream::BoxStream};
use http::Request;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver},
};
use token_verifier::{Expectations, Keys, RemoteOptions, TokenVerifier, VerifyTokenLayer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Response, Status, body::Body, service::Routes, transport::Server};
use tonic_prost::ProstCodec;
use tower::service_fn;

pub(crate) const AUDIENCE: &str = "ticks";

const PROTO: &str = r#"
syntax = "proto3";
package ticks.v1;
import "google/api/annotations.proto";
service Ticks {
  rpc GetTick(Nothing) returns (Tick) { option (google.api.http) = { get: "/api/tick" }; }
  rpc WatchTicks(Nothing) returns (stream Tick) { option (google.api.http) = { get: "/api/ticks" }; }
  // Says nothing, ever.
  rpc WatchNothing(Nothing) returns (stream Tick) { option (google.api.http) = { get: "/api/silence" }; }
}
message Nothing {}
message Tick { string subject = 1; }
"#;

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
struct Tick {
    #[prost(string, tag = "1")]
    subject: String,
}

struct Source;

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "ticks.proto" {
            return File::from_source(name, PROTO);
        }
        Err(protox::Error::file_not_found(name))
    }
}

/// Writes the service's descriptors.
pub(crate) fn describe(file: &Path) {
    let mut files = ChainFileResolver::new();
    files.add(Source);
    let annotations = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto");
    files.add(IncludeFileResolver::new(annotations.into()));
    files.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(files);
    compiler.include_imports(true);
    compiler.open_file("ticks.proto").unwrap();
    std::fs::write(file, compiler.encode_file_descriptor_set()).unwrap();
}

/// Serves behind `token-verifier`, which follows no feed here: what ends a stream on a
/// revocation is the gateway.
pub(crate) async fn serve(jwks: SocketAddr) -> SocketAddr {
    let jwks = format!("http://{jwks}/.well-known/jwks.json");
    let (keys, fetching) = Keys::remote(RemoteOptions::new(&jwks).unwrap());
    tokio::spawn(fetching);
    let expectations = Expectations {
        issuer: "http://localhost:8081".to_owned(),
        audience: AUDIENCE.to_owned(),
    };
    let verifier = TokenVerifier::new(expectations, keys, Arc::new(SystemClock));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .layer(VerifyTokenLayer::new(verifier))
        .add_routes(Routes::from(axum::Router::new().fallback(answer)))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    address
}

type Ticks = BoxStream<'static, Result<Tick, Status>>;

async fn answer(request: Request<axum::body::Body>) -> http::Response<Body> {
    let path = request.uri().path().to_owned();
    let mut grpc = tonic::server::Grpc::new(ProstCodec::<Tick, Nothing>::default());
    match path.as_str() {
        "/ticks.v1.Ticks/GetTick" => {
            let method = service_fn(|request| async move { tick(&request).map(Response::new) });
            grpc.unary(method, request).await
        }
        "/ticks.v1.Ticks/WatchTicks" => {
            let method = service_fn(|request| async move {
                let tick = tick(&request)?;
                let ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(
                    Duration::from_millis(50),
                ));
                Ok(Response::new(
                    ticks.map(move |_| Ok(tick.clone())).boxed() as Ticks
                ))
            });
            grpc.server_streaming(method, request).await
        }
        "/ticks.v1.Ticks/WatchNothing" => {
            let method = service_fn(|_: tonic::Request<Nothing>| async move {
                Ok(Response::new(futures::stream::pending().boxed() as Ticks))
            });
            grpc.server_streaming(method, request).await
        }
        other => Status::unimplemented(other.to_owned()).into_http(),
    }
}

fn tick(request: &tonic::Request<Nothing>) -> Result<Tick, Status> {
    let subject = token_verifier::caller(request)?.subject().to_string();
    Ok(Tick { subject })
}
