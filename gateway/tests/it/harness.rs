//! A gateway, its neighbours and a browser of few words.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::SystemClock;
use gateway::{
    Config, Listeners, ServeError,
    config::{Access, Source, UpstreamSettings},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{fake_auth::FakeAuth, fake_cart::FakeCart};

pub(crate) const COOKIE: &str = "__Host-Http-session";
/// Long enough for a busy machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) auth: FakeAuth,
    pub(crate) cart: FakeCart,
    pub(crate) address: SocketAddr,
    pub(crate) operations: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<Result<(), ServeError>>,
    client: Client<HttpConnector, Full<Bytes>>,
    _files: TempDir,
    _stop: DropGuard,
}

/// A gateway whose cart is for guests, as in the product.
pub(crate) async fn world() -> World {
    world_with(|_| {}).await
}

/// The same with other settings.
pub(crate) async fn world_with(change: impl FnOnce(&mut Config)) -> World {
    let world = world_unready(change).await;
    eventually(async || world.is_ready().await).await;
    world
}

/// The same before it is ready.
pub(crate) async fn world_unready(change: impl FnOnce(&mut Config)) -> World {
    let (auth, cart) = (FakeAuth::new(), FakeCart::new());
    let shutdown = CancellationToken::new();
    let auth_address = serve_auth(&auth, &shutdown).await;
    let cart_address = serve_cart(&cart).await;
    let files = TempDir::new().unwrap();
    let mut config = config(files.path(), auth_address, cart_address);
    change(&mut config);
    let listeners = Listeners::bind(&config).await.unwrap();
    let address = listeners.public.local_addr().unwrap();
    let operations = listeners.operations.local_addr().unwrap();
    let served = tokio::spawn(gateway::serve(
        config,
        listeners,
        Arc::new(SystemClock),
        shutdown.clone(),
    ));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let stop = shutdown.clone().drop_guard();
    World {
        auth,
        cart,
        address,
        operations,
        shutdown,
        served,
        client,
        _files: files,
        _stop: stop,
    }
}

fn config(files: &Path, auth: SocketAddr, cart: SocketAddr) -> Config {
    let descriptors = files.join("cart.bin");
    std::fs::write(&descriptors, proto::cart::v1::FILE_DESCRIPTOR_SET).unwrap();
    let mut cart = UpstreamSettings::new(
        "cart",
        &format!("http://{cart}"),
        "cart-service",
        Access::Guest,
    );
    cart.descriptors = Source::File(descriptors);
    let nowhere_yet = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        listen: nowhere_yet,
        operations_listen: nowhere_yet,
        upstreams: vec![cart],
        ..Config::new(&format!("http://{auth}"), files.join("gateway.pem"))
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve_auth(auth: &FakeAuth, shutdown: &CancellationToken) -> SocketAddr {
    use proto::auth::v1::{
        account_service_server::AccountServiceServer,
        revocation_service_server::RevocationServiceServer,
        session_service_server::SessionServiceServer, token_service_server::TokenServiceServer,
    };
    let (listener, address) = listen().await;
    let server = tonic::transport::Server::builder()
        .add_service(AccountServiceServer::new(auth.clone()))
        .add_service(SessionServiceServer::new(auth.clone()))
        .add_service(TokenServiceServer::new(auth.clone()))
        .add_service(RevocationServiceServer::new(auth.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(server));
    address
}

/// Not stopped with the gateway: its last requests need it.
async fn serve_cart(cart: &FakeCart) -> SocketAddr {
    use proto::cart::v1::cart_service_server::CartServiceServer;
    let (listener, address) = listen().await;
    let server = tonic::transport::Server::builder()
        .add_service(CartServiceServer::new(cart.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    address
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The problem document's reason.
    pub(crate) fn reason(&self) -> String {
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(
            problem["request_id"],
            self.headers["x-request-id"].to_str().unwrap()
        );
        problem["reason"].as_str().unwrap().to_owned()
    }

    /// The session that this answer hands out. Its attributes are always the same.
    pub(crate) fn session(&self) -> Option<String> {
        let mut cookies = self.headers.get_all(header::SET_COOKIE).iter();
        let cookie = cookies.next()?.to_str().unwrap();
        assert!(cookies.next().is_none(), "one cookie at most");
        let rest = cookie.strip_prefix("__Host-Http-session=").unwrap();
        let (value, attributes) = rest.split_once("; ").unwrap();
        if value.is_empty() {
            assert_eq!(
                attributes,
                "Secure; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
            );
            return None;
        }
        assert_eq!(attributes, "Secure; HttpOnly; SameSite=Lax; Path=/");
        assert_eq!(value.len(), 43);
        Some(value.to_owned())
    }

    pub(crate) fn clears_cookie(&self) -> bool {
        self.headers.contains_key(header::SET_COOKIE) && self.session().is_none()
    }

    pub(crate) fn sets_cookie(&self) -> bool {
        self.headers.contains_key(header::SET_COOKIE)
    }
}

/// A request as our own pages make it, unless told otherwise.
pub(crate) struct Asking<'a> {
    world: &'a World,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl World {
    pub(crate) fn ask<'a>(&'a self, method: &str, path: &str) -> Asking<'a> {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        Asking {
            world: self,
            method: method.parse().unwrap(),
            path: path.to_owned(),
            headers,
            body: Bytes::new(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    /// Signs somebody in and gives their cookie.
    pub(crate) async fn sign_in(&self, email: &str) -> String {
        let form = serde_json::json!({"email": email, "password": crate::fake_auth::PASSWORD});
        let answer = self.ask("POST", "/auth/login").json(&form).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.session().unwrap()
    }

    /// Bytes in, bytes out, until the gateway closes or answers nothing more.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        // Enough for a head; the body's end is not awaited.
        while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut chunk))
                .await
                .unwrap();
            match read {
                Ok(0) | Err(_) => break,
                Ok(length) => answer.extend_from_slice(&chunk[..length]),
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The status line's code of a raw request with our Host.
    pub(crate) async fn raw_status(&self, head: &str) -> u16 {
        let request = head.replace("{host}", &self.address.to_string());
        let answer = self.raw(request.as_bytes()).await;
        answer
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0)
    }

    pub(crate) async fn metrics(&self) -> String {
        let uri = format!("http://{}/metrics", self.operations);
        let answer = self.client.get(uri.parse().unwrap()).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let uri = format!("http://{}/readyz", self.operations);
        let answer = self.client.get(uri.parse().unwrap()).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }
}

/// Waits for a condition that other tasks bring about.
pub(crate) async fn eventually(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the condition never came about");
}

impl Asking<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(crate) fn cookie(self, secret: &str) -> Self {
        self.header("cookie", &format!("{COOKIE}={secret}"))
    }

    pub(crate) fn json(self, value: &serde_json::Value) -> Self {
        self.body("application/json", value.to_string())
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    pub(crate) async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Over HTTP/2 from the first byte.
    pub(crate) async fn send_http2(self) -> Answer {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http();
        self.send_by(&client).await.unwrap()
    }

    pub(crate) async fn try_send(self) -> Result<Answer, hyper_util::client::legacy::Error> {
        let client = self.world.client.clone();
        self.send_by(&client).await
    }

    async fn send_by(
        self,
        client: &Client<HttpConnector, Full<Bytes>>,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = format!("http://{}{}", self.world.address, self.path)
            .parse()
            .unwrap();
        *request.headers_mut() = self.headers;
        let sent = client.request(request);
        let (head, body) = tokio::time::timeout(PATIENCE, sent)
            .await
            .expect("an answer")?
            .into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}
