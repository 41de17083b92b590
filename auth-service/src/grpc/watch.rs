//! `RevocationService.Watch`.
//!
//! Written by hand instead of over the generated trait, which would encode every message
//! for every watcher: here they come encoded.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use chassis::grpc::Encoded;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use prost::Message as _;
use proto::auth::v1::WatchRequest;
use proto::auth::v1::revocation_service_server::SERVICE_NAME;
use tonic::body::Body;
use tonic::codec::{DecodeBuf, Decoder};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};
use tower::Service;

use super::{MAX_MESSAGE_BYTES, admit};
use crate::revocations::{Hub, Resume};
use crate::status;

const WATCH: &str = "/latchkey.auth.v1.RevocationService/Watch";

/// The service.
#[derive(Clone)]
pub(super) struct RevocationService(pub(super) Hub);

impl NamedService for RevocationService {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for RevocationService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != WATCH {
            // The guard lets nobody come here.
            let refused = status::workload_not_allowed().into_http();
            return Box::pin(async { Ok(refused) });
        }
        let method = Watch(self.0.clone());
        Box::pin(async move {
            let mut grpc = Grpc::new(Encoded(Requests))
                .apply_max_message_size_config(Some(MAX_MESSAGE_BYTES), None);
            Ok(grpc.server_streaming(method, request).await)
        })
    }
}

struct Watch(Hub);

impl ServerStreamingService<WatchRequest> for Watch {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<WatchRequest>) -> Self::Future {
        let hub = self.0.clone();
        Box::pin(async move {
            let (_, WatchRequest { log_id, after_seq }) = admit(request)?;
            let stream = hub.watch(Resume { log_id, after_seq }).await?;
            let stream = stream.map(|message| message.map_err(Status::from));
            Ok(Response::new(stream.boxed()))
        })
    }
}

/// Refuses what is no request in words of ours.
#[derive(Clone, Copy)]
struct Requests;

impl Decoder for Requests {
    type Item = WatchRequest;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<WatchRequest>, Status> {
        let decoded = WatchRequest::decode(buffer);
        decoded.map(Some).map_err(|_| status::undecodable())
    }
}
