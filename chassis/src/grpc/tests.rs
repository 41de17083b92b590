//! Over real sockets, with profile-service's API: unauthenticated calls, panics, slow
//! handlers, health, reflection, metrics.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::HeaderValue;
use proto::profile::v1::profile_service_client::ProfileServiceClient;
use proto::profile::v1::profile_service_server::{ProfileService, ProfileServiceServer};
use proto::profile::v1::{
    GetProfileRequest, GetProfileResponse, Profile, UpdateProfileRequest, UpdateProfileResponse,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use super::*;
use crate::request_id::RequestId;
use crate::status::reason_of;
use crate::trace_context::TraceContext;

mod calls;
mod health;

const PASSWORD: &str = "let me in";

/// What the handler saw of a call.
#[derive(Clone, Debug)]
struct Seen {
    request_id: String,
    trace_id: String,
    peer: Option<SocketAddr>,
}

#[derive(Clone, Default)]
struct Profiles {
    seen: Arc<Mutex<Vec<Seen>>>,
    waiting: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[tonic::async_trait]
impl ProfileService for Profiles {
    async fn get_profile(
        &self,
        request: tonic::Request<GetProfileRequest>,
    ) -> Result<tonic::Response<GetProfileResponse>, Status> {
        self.seen.lock().unwrap().push(Seen {
            request_id: RequestId::current().unwrap().to_string(),
            trace_id: TraceContext::current().unwrap().trace_id().to_string(),
            peer: request.remote_addr(),
        });
        match request.metadata().get("do").map(|value| value.as_bytes()) {
            Some(b"panic") => panic!("secret detail"),
            Some(b"wait") => {
                self.waiting.notify_one();
                self.go_on.notified().await;
            }
            Some(b"fail") => return Err(Status::not_found("no such thing")),
            _ => {}
        }
        let profile = Some(Profile::default());
        Ok(tonic::Response::new(GetProfileResponse { profile }))
    }

    async fn update_profile(
        &self,
        _: tonic::Request<UpdateProfileRequest>,
    ) -> Result<tonic::Response<UpdateProfileResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// Lets health and whoever knows the password pass.
#[derive(Clone)]
struct Password;

impl Layer<Inner> for Password {
    type Service = Inner;

    fn layer(&self, inner: Inner) -> Inner {
        Inner::new(service_fn(move |request: Request<Body>| {
            let inner = inner.clone();
            async move {
                let open = request.uri().path().starts_with("/grpc.");
                let known = request
                    .headers()
                    .get("password")
                    .is_some_and(|p| p == PASSWORD);
                if !open && !known {
                    return Ok(Status::unauthenticated("who are you?").into_http());
                }
                tower::ServiceExt::oneshot(inner, request).await
            }
        }))
    }
}

struct Running {
    channel: Channel,
    address: SocketAddr,
    profiles: Profiles,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), GrpcServeError>>,
}

async fn start(limits: GrpcLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let profiles = Profiles::default();
    let metrics = Metrics::new("test");
    let readiness = Readiness::new();
    let shutdown = CancellationToken::new();
    let routes =
        Routes::new(ProfileServiceServer::new(profiles.clone()).max_decoding_message_size(100));
    let server = GrpcServer::new("test", metrics.clone(), readiness.clone())
        .limits(limits)
        .reflection(proto::profile::v1::FILE_DESCRIPTOR_SET, true)
        .serve(listener, routes, Password, shutdown.clone());
    Running {
        channel: connect(&format!("http://{address}"), ConnectOptions::default()).unwrap(),
        address,
        profiles,
        metrics,
        readiness,
        shutdown,
        server: tokio::spawn(server),
    }
}

impl Running {
    /// Calls `GetProfile` with these metadata besides the password.
    async fn get(
        &self,
        metadata: &[(&'static str, &'static str)],
    ) -> Result<tonic::Response<GetProfileResponse>, Status> {
        let mut request = tonic::Request::new(GetProfileRequest {});
        request
            .metadata_mut()
            .insert("password", PASSWORD.parse().unwrap());
        for (name, value) in metadata {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        ProfileServiceClient::new(self.channel.clone())
            .get_profile(request)
            .await
    }

    /// Posts nothing to `path` over plain HTTP/2.
    async fn post(&self, path: &str, headers: &[(&'static str, &str)]) -> Response<Body> {
        self.post_body(path, headers, Body::empty()).await
    }

    async fn post_body(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Body,
    ) -> Response<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = path.parse().unwrap();
        for (name, value) in headers {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_str(value).unwrap());
        }
        tower::ServiceExt::oneshot(self.channel.clone(), request)
            .await
            .unwrap()
    }

    fn counted(&self, method: &str, code: &str) -> bool {
        let text = self.metrics.encode();
        text.lines().any(|line| {
            line.starts_with("latchkey_rpc_requests_total{")
                && line.contains(&format!("method=\"{method}\""))
                && line.contains(&format!("code=\"{code}\""))
        })
    }
}
