//! A gRPC client that sends whatever it is told, right or wrong.

use std::{convert::Infallible, net::SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::net::TcpStream;
use tonic::{Code, Status};

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// One HTTP/2 connection.
#[derive(Clone)]
pub(crate) struct Raw {
    sender: SendRequest<Body>,
    address: SocketAddr,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: StatusCode,
    /// `Ok` for success; `Unknown` if the answer is not gRPC's.
    pub(crate) status: Status,
}

impl Answer {
    pub(crate) fn code(&self) -> Code {
        self.status.code()
    }

    pub(crate) fn reason(&self) -> Option<String> {
        chassis::status::reason_of(&self.status)
    }
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        // Small frames, one after another: waiting for company would take 40 ms each.
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self { sender, address }
    }

    /// Sends a request with these headers and this body.
    pub(crate) async fn send(
        &mut self,
        path: &str,
        headers: &[(&str, Vec<u8>)],
        body: Body,
    ) -> Answer {
        let mut request = http::Request::post(format!("http://{}{path}", self.address))
            .header(header::TE, "trailers")
            .body(body)
            .unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request
                .headers_mut()
                .append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let is_typed = request.headers().contains_key(header::CONTENT_TYPE);
        if !is_typed {
            let grpc = HeaderValue::from_static("application/grpc");
            request.headers_mut().insert(header::CONTENT_TYPE, grpc);
        }
        answer(self.sender.send_request(request).await.unwrap()).await
    }

    /// A call as a good client makes it, but for the token and the body.
    pub(crate) async fn call(&mut self, path: &str, token: &str, body: Body) -> Answer {
        self.send(path, &[bearer(token)], body).await
    }
}

async fn answer(response: http::Response<hyper::body::Incoming>) -> Answer {
    let http = response.status();
    let at_once = Status::from_header_map(response.headers());
    let collected = response.into_body().collect().await.unwrap();
    let at_end = collected.trailers().and_then(Status::from_header_map);
    let status = at_once
        .or(at_end)
        .unwrap_or_else(|| Status::unknown("no gRPC answer"));
    Answer { http, status }
}

pub(crate) fn bearer(token: &str) -> (&'static str, Vec<u8>) {
    ("authorization", format!("Bearer {token}").into_bytes())
}

pub(crate) fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

/// A message as it stands on the wire: a flag, a length, the bytes.
pub(crate) fn frame(flag: u8, length: u32, message: &[u8]) -> Body {
    let mut frame = BytesMut::new();
    frame.put_u8(flag);
    frame.put_u32(length);
    frame.put_slice(message);
    body(frame.freeze())
}

/// A message framed honestly.
pub(crate) fn framed(message: &[u8]) -> Body {
    frame(0, u32::try_from(message.len()).unwrap(), message)
}

/// The path of every method that the descriptors name, so that a new one is tested
/// from its first day.
pub(crate) fn methods(descriptors: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(descriptors).unwrap();
    let mut paths = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                paths.push(format!(
                    "/{}.{}/{}",
                    file.package(),
                    service.name(),
                    method.name()
                ));
            }
        }
    }
    assert!(!paths.is_empty());
    paths
}
