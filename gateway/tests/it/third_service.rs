//! Somebody's own service behind the gateway, as deploy/your-own-service.md tells it:
//! the code and the settings of that page, a real auth service, and nothing else.

use std::{net::SocketAddr, path::Path, sync::Arc};

use bytes::Bytes;
use chassis::{
    SystemClock,
    grpc::{ConnectOptions, connect},
    revocations::RevocationSettings,
    settings::{self, Section, Sources},
    workload::{AssertionLayer, AssertionSigner, WorkloadKey},
};
use greeter::v1::{GreetRequest, greeter_service_client::GreeterServiceClient};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use proto::auth::v1::{ExchangeSessionRequest, token_service_client::TokenServiceClient};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status, transport::Channel};
use tower::Layer as _;

use crate::harness::{Answer, COOKIE, eventually};

const PAGE: &str = include_str!("../../../deploy/your-own-service.md");
/// What the page's settings and code say, and a test must not take.
const GREETER_ADDRESS: &str = "http://127.0.0.1:50054";
const GREETER_KEY: &str = "deploy/local/data/workloads/greeter.jwk.json";

#[tokio::test]
async fn a_person_is_greeted_and_nobody_else() {
    let world = World::start().await;

    let refused = world.get("/api/greeting", None).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_eq!(refused.reason(), "SESSION_REQUIRED");
    assert!(!refused.sets_cookie(), "a person is asked for, not a guest");

    let (cookie, subject) = world.register("ada@example.com").await;
    let answer = world.get("/api/greeting", Some(&cookie)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json(),
        json!({"greeting": format!("Hello, {subject}")})
    );
    let path = "/api/greeting?salutation=Good%20evening";
    let answer = world.get(path, Some(&cookie)).await;
    assert_eq!(
        answer.json(),
        json!({"greeting": format!("Good evening, {subject}")})
    );
}

#[tokio::test]
async fn the_layer_alone_guards_the_service() {
    let world = World::start().await;
    let (cookie, subject) = world.register("ada@example.com").await;

    let refused = world.greet(None).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");

    let token = world.exchange(&cookie, "cart-service").await;
    let refused = world.greet(Some(&token)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");

    let token = world.exchange(&cookie, "greeter").await;
    let greeting = world.greet(Some(&token)).await.unwrap();
    assert_eq!(greeting, format!("Hello, {subject}"));
}

#[tokio::test]
async fn who_has_signed_out_is_refused_at_once_with_a_token_that_has_time_left() {
    let world = World::start().await;
    let (cookie, _) = world.register("ada@example.com").await;
    let token = world.exchange(&cookie, "greeter").await;
    world.greet(Some(&token)).await.unwrap();

    world.sign_out(&cookie).await;
    eventually(async || {
        let greeted = world.greet(Some(&token)).await;
        greeted.is_err_and(|refused| refused.code() == Code::Unauthenticated)
    })
    .await;
}

#[test]
fn the_page_shows_what_these_tests_run() {
    macro_rules! shown {
        ($language:literal, $file:literal) => {
            let text = include_str!(concat!("../../../deploy/your-own-service/", $file));
            let block = format!("`{}`:\n\n```{}\n{text}```\n", $file, $language);
            assert!(PAGE.contains(&block), "the page differs from {}", $file);
        };
    }
    shown!("toml", "Cargo.toml");
    shown!("proto", "greeter.proto");
    shown!("rust", "build.rs");
    shown!("rust", "src/lib.rs");
    shown!("rust", "src/main.rs");
}

/// The page's settings for `file`.
fn settings_of(file: &str) -> &'static str {
    let opening = format!("```toml\n# {file}\n");
    let (_, rest) = PAGE.split_once(&opening).expect("the page has the block");
    rest.split_once("```").expect("the block ends").0
}

fn read<C>(name: &str, text: &str, read: impl FnOnce(&mut Section<'_>) -> Option<C>) -> C {
    settings::read(Sources::from_toml(name, text), read)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// The auth service, the greeter and the gateway.
struct World {
    auth: SocketAddr,
    greeter: SocketAddr,
    gateway: SocketAddr,
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
    files: TempDir,
    _stop: DropGuard,
}

impl World {
    async fn start() -> Self {
        let files = TempDir::new().unwrap();
        let stop = CancellationToken::new();
        let (auth, jwks) = start_auth(files.path(), &stop).await;
        let greeter = start_greeter(files.path(), auth, jwks).await;
        let (gateway, operations) = start_gateway(files.path(), auth, greeter, &stop).await;
        let world = Self {
            auth,
            greeter,
            gateway,
            client: Client::builder(TokioExecutor::new()).build_http(),
            files,
            _stop: stop.drop_guard(),
        };
        eventually(async || world.ask(operations, "/readyz", None).await.status == 200).await;
        world.greeter_verifies().await;
        world
    }

    /// The greeter has no readiness of its own; before its verifier has keys and knows
    /// what is revoked, it answers any token with UNAVAILABLE.
    async fn greeter_verifies(&self) {
        let (cookie, _) = self.register("first@example.com").await;
        let token = self.exchange(&cookie, "greeter").await;
        eventually(async || self.greet(Some(&token)).await.is_ok()).await;
    }

    async fn get(&self, path: &str, cookie: Option<&str>) -> Answer {
        self.ask(self.gateway, path, cookie).await
    }

    async fn ask(&self, address: SocketAddr, path: &str, cookie: Option<&str>) -> Answer {
        let mut request = Request::get(format!("http://{address}{path}"));
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("{COOKIE}={cookie}"));
        }
        self.send(request.body(Full::default()).unwrap()).await
    }

    /// The new person's cookie and subject.
    async fn register(&self, email: &str) -> (String, String) {
        let form = json!({"email": email, "password": "correct horse battery"});
        let request = Request::post(format!("http://{}/auth/register", self.gateway))
            .header("origin", format!("http://{}", self.gateway))
            .header("content-type", "application/json")
            .body(form.to_string().into())
            .unwrap();
        let answer = self.send(request).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let subject = answer.json()["user"]["subject"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(subject.starts_with("usr_"), "{subject}");
        (answer.session().unwrap(), subject)
    }

    async fn sign_out(&self, cookie: &str) {
        let request = Request::post(format!("http://{}/auth/logout", self.gateway))
            .header("origin", format!("http://{}", self.gateway))
            .header("cookie", format!("{COOKIE}={cookie}"))
            .body(Full::default())
            .unwrap();
        let answer = self.send(request).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// Past the gateway.
    async fn greet(&self, token: Option<&str>) -> Result<String, Status> {
        let mut request = tonic::Request::new(GreetRequest::default());
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        let answer = GreeterServiceClient::new(channel(self.greeter))
            .greet(request)
            .await?;
        Ok(answer.into_inner().greeting)
    }

    /// As the gateway does it, for a service of our choice.
    async fn exchange(&self, cookie: &str, audience: &str) -> String {
        let clock = Arc::new(SystemClock);
        let key = gateway_key(self.files.path());
        let signer = AssertionSigner::new("gateway", key, "auth-service", clock);
        let channel = AssertionLayer::new(signer).layer(channel(self.auth));
        let message = ExchangeSessionRequest {
            session_secret: cookie.to_owned(),
            audience: audience.to_owned(),
        };
        let answer = TokenServiceClient::new(channel)
            .exchange_session(message)
            .await
            .unwrap();
        answer.into_inner().access_token
    }
}

fn channel(address: SocketAddr) -> Channel {
    connect(&format!("http://{address}"), ConnectOptions::default()).unwrap()
}

fn gateway_key(files: &Path) -> WorkloadKey {
    WorkloadKey::load_or_create(&files.join("gateway.pem")).unwrap()
}

/// Its gRPC and JWKS addresses.
async fn start_auth(files: &Path, stop: &CancellationToken) -> (SocketAddr, SocketAddr) {
    let jwk = gateway_key(files).public_jwk();
    let greeter_jwk = files.join("greeter.jwk.json");
    let greeter_key = WorkloadKey::load_or_create(&files.join("greeter.pem")).unwrap();
    std::fs::write(&greeter_jwk, greeter_key.public_jwk()).unwrap();
    let greeter = settings_of("deploy/local/auth-service.toml, at its end");
    assert!(greeter.contains(GREETER_KEY));
    let text = format!(
        "{audiences}
        grpc_listen = '127.0.0.1:0'
        http_listen = '127.0.0.1:0'
        operations_listen = '127.0.0.1:0'
        database = '{files}/auth.db'
        key_encryption_key_file = '{files}/key-encryption-key'
        [workloads.gateway]
        public_key = '{jwk}'
        may = ['accounts', 'sessions', 'exchange', 'watch']
        {greeter}",
        audiences = settings_of("deploy/local/auth-service.toml"),
        greeter = greeter.replace(GREETER_KEY, &greeter_jwk.display().to_string()),
        files = files.display(),
    );
    let config = read("auth-service.toml", &text, auth_service::Config::read);
    let listeners = auth_service::Listeners::bind(&config).await.unwrap();
    let grpc = listeners.grpc.local_addr().unwrap();
    let http = listeners.http.local_addr().unwrap();
    let clock = Arc::new(SystemClock);
    tokio::spawn(auth_service::serve(config, listeners, clock, stop.clone()));
    (grpc, http)
}

async fn start_greeter(files: &Path, auth: SocketAddr, jwks: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let key = files.join("greeter.pem");
    let feed = RevocationSettings::new(&format!("http://{auth}"), "greeter", key);
    tokio::spawn(async move {
        let jwks_url = format!("http://{jwks}/.well-known/jwks.json");
        greeter::serve(listener, &jwks_url, feed).await
    });
    address
}

/// Its public and operations addresses.
async fn start_gateway(
    files: &Path,
    auth: SocketAddr,
    greeter: SocketAddr,
    stop: &CancellationToken,
) -> (SocketAddr, SocketAddr) {
    let entry = settings_of("deploy/local/gateway.toml");
    assert!(entry.contains(GREETER_ADDRESS));
    let text = format!(
        "listen = '127.0.0.1:0'
        operations_listen = '127.0.0.1:0'
        workload_key_file = '{files}/gateway.pem'
        [auth]
        address = 'http://{auth}'
        {entry}",
        files = files.display(),
        entry = entry.replace(GREETER_ADDRESS, &format!("http://{greeter}")),
    );
    let config = read("gateway.toml", &text, gateway::Config::read);
    let listeners = gateway::Listeners::bind(&config).await.unwrap();
    let public = listeners.public.local_addr().unwrap();
    let operations = listeners.operations.local_addr().unwrap();
    let clock = Arc::new(SystemClock);
    tokio::spawn(gateway::serve(config, listeners, clock, stop.clone()));
    (public, operations)
}
