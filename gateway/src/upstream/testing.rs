//! A gRPC server on loopback whose every method is one closure over bytes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::HeaderValue;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status, Streaming,
    service::Routes,
    transport::{Channel, Server},
};

use super::{Access, BytesCodec, Upstream, UpstreamRequestHeaders};

/// What a method answers: messages and perhaps an error at their end.
pub(crate) type Answers = BoxStream<'static, Result<Bytes, Status>>;
/// How a call is answered.
pub(crate) type Answered = BoxFuture<'static, Result<Response<Answers>, Status>>;

/// These messages.
pub(crate) fn messages(messages: Vec<Result<Bytes, Status>>) -> Result<Response<Answers>, Status> {
    Ok(Response::new(stream::iter(messages).boxed()))
}

/// A server that is there until it is dropped.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestServer {
    /// Serves `answer(path, request)`.
    pub(crate) async fn start(
        answer: impl Fn(String, Request<Streaming<Bytes>>) -> Answered + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        let router =
            axum::Router::new().fallback(move |request: http::Request<axum::body::Body>| {
                let (path, answer) = (request.uri().path().to_owned(), Arc::clone(&answer));
                let method = tower::service_fn(move |request| answer(path.clone(), request));
                async move {
                    tonic::server::Grpc::new(BytesCodec::default())
                        .streaming(method, request)
                        .await
                }
            });
        Self::serve(Routes::from(router)).await
    }

    /// Serves any tonic services.
    pub(crate) async fn serve(routes: Routes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve_on(listener, routes)
    }

    pub(crate) fn serve_on(listener: TcpListener, routes: Routes) -> Self {
        let address = listener.local_addr().unwrap();
        let server = Server::builder().add_routes(routes);
        let task = tokio::spawn(async move {
            server
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        Self { address, task }
    }

    pub(crate) fn channel(&self) -> Channel {
        channel(self.address)
    }

    pub(crate) fn upstream(&self) -> Upstream {
        upstream(self.channel())
    }
}

/// A connection that is made when it is needed.
pub(crate) fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy()
}

/// An upstream that anyone may call.
pub(crate) fn upstream(channel: Channel) -> Upstream {
    Upstream {
        name: "test".to_owned(),
        audience: "test".to_owned(),
        access: Access::Anyone,
        channel,
        timeout: Duration::from_secs(30),
        stream_timeout: Duration::from_secs(30),
        max_response_bytes: 64 * 1024,
    }
}

/// Headers with nothing optional.
pub(crate) fn headers() -> UpstreamRequestHeaders {
    UpstreamRequestHeaders {
        request_id: HeaderValue::from_static("req-1"),
        traceparent: None,
        tracestate: None,
        accept_language: None,
    }
}
