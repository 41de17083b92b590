//! A whole service on free ports, the gateway that calls it, and a program whose
//! assertions tests write by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use auth_service::jwks::PublicJwk;
use auth_service::workload::{Permission, WorkloadSettings};
use auth_service::{Config, KeyEncryptionKeySource, Listeners, ServeError, serve};
use chassis::grpc::{ConnectOptions, connect};
use chassis::workload::{AssertionLayer, AssertionSigner, AttachAssertion, WorkloadKey};
use jiff::Timestamp;
use proto::auth::v1::account_service_client::AccountServiceClient;
use proto::auth::v1::operator_service_client::OperatorServiceClient;
use proto::auth::v1::session_service_client::SessionServiceClient;
use proto::auth::v1::token_service_client::TokenServiceClient;
use proto::auth::v1::{
    ClientInfo, CreateGuestSessionRequest, ExchangeSessionRequest, ExchangeSessionResponse,
    LoginRequest, LoginResponse, NewSession, RegisterRequest, RegisterResponse,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use token_verifier::testing::TestIssuer;
use token_verifier::{
    Clock, Expectations, KeySet, Keys, ManualClock, TokenVerifier, VerifiedToken,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tower::Layer;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const HOME: &str = "192.0.2.1";
pub(crate) const ALL: [Permission; 3] = [
    Permission::Accounts,
    Permission::Sessions,
    Permission::Exchange,
];

/// A running auth service.
pub(crate) struct Auth {
    pub(crate) home: Home,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) operations: SocketAddr,
    pub(crate) issuer: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

/// What outlives a restart: the files, the clock, and who may call.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
    pub(crate) clock: ManualClock,
    /// A workload called `tester` with every permission, which signs anything.
    pub(crate) tester: TestIssuer,
}

/// Clients that call as a workload.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) accounts: AccountServiceClient<AttachAssertion<Channel>>,
    pub(crate) sessions: SessionServiceClient<AttachAssertion<Channel>>,
    pub(crate) tokens: TokenServiceClient<AttachAssertion<Channel>>,
    pub(crate) operator: OperatorServiceClient<AttachAssertion<Channel>>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let now: Timestamp = "2030-01-01T12:00:00Z".parse().unwrap();
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: ManualClock::at(now),
            tester: TestIssuer::new("svc_tester"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn key(&self, name: &str) -> WorkloadKey {
        WorkloadKey::load_or_create(&self.path(&format!("{name}.pem"))).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        let key = KeyEncryptionKeySource::File(self.path("key-encryption.key"));
        let mut config = Config::new(self.path("auth.db"), key);
        let workload = |name: &str, jwk: &str, may: &[Permission]| WorkloadSettings {
            name: name.to_owned(),
            public_key: PublicJwk::from_json(jwk).unwrap(),
            may: may.to_vec(),
        };
        config.workloads = vec![
            workload("gateway", &self.key("gateway").public_jwk(), &ALL),
            workload(
                "cart-service",
                &self.key("cart-service").public_jwk(),
                &[Permission::Watch],
            ),
            workload("tester", &self.tester.jwk().to_string(), &ALL),
            workload(
                "latchkey",
                &self.key("latchkey").public_jwk(),
                &[Permission::Operate],
            ),
            workload(
                "watcher",
                &self.key("watcher").public_jwk(),
                &[Permission::Watch],
            ),
        ];
        config
    }

    /// The claims of a good assertion of `tester`.
    pub(crate) fn claims(&self, jti: &str) -> Value {
        let now = self.clock.now().as_second();
        json!({
            "iss": "svc_tester", "sub": "svc_tester", "aud": "auth-service",
            "iat": now, "exp": now + 60, "jti": jti,
        })
    }

    /// Its header.
    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "client-authentication+jwt", "alg": "EdDSA", "kid": self.tester.kid() })
    }

    pub(crate) fn assertion(&self, jti: &str) -> String {
        self.tester.token_with(self.header(), self.claims(jti))
    }
}

impl Auth {
    pub(crate) async fn start() -> Self {
        Self::start_in(Home::new(), |_| {}).await
    }

    pub(crate) async fn start_in(home: Home, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = home.config();
        change(&mut config);
        let listeners = free_ports().await;
        let (grpc, http) = (address(&listeners.grpc), address(&listeners.http));
        let operations = address(&listeners.operations);
        let stop = CancellationToken::new();
        let issuer = config.issuer.clone();
        let clock: Arc<dyn Clock> = Arc::new(home.clock.clone());
        let task = tokio::spawn(serve(config, listeners, clock, stop.clone()));
        Self {
            home,
            grpc,
            http,
            operations,
            issuer,
            stop,
            task,
        }
    }

    /// Stops in order and leaves what outlives it.
    pub(crate) async fn stop(self) -> Home {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.home
    }

    /// A channel without any identity.
    pub(crate) fn channel(&self) -> Channel {
        connect(&format!("http://{}", self.grpc), ConnectOptions::default()).unwrap()
    }

    /// Clients that call as `name`, with the key under that name.
    pub(crate) fn clients(&self, name: &str) -> Clients {
        let channel = self.signed(name);
        Clients {
            accounts: AccountServiceClient::new(channel.clone()),
            sessions: SessionServiceClient::new(channel.clone()),
            tokens: TokenServiceClient::new(channel.clone()),
            operator: OperatorServiceClient::new(channel),
        }
    }

    /// A channel on which `name` signs every call.
    pub(crate) fn signed(&self, name: &str) -> AttachAssertion<Channel> {
        self.signed_over(name, self.channel())
    }

    /// The same over another channel.
    pub(crate) fn signed_over(&self, name: &str, channel: Channel) -> AttachAssertion<Channel> {
        let clock: Arc<dyn Clock> = Arc::new(self.home.clock.clone());
        let signer = AssertionSigner::new(name, self.home.key(name), "auth-service", clock);
        AssertionLayer::new(signer).layer(channel)
    }

    pub(crate) fn gateway(&self) -> Clients {
        self.clients("gateway")
    }

    /// An anonymous token's request with this in `authorization`, as it stands.
    pub(crate) async fn call_with(&self, authorization: &str) -> Result<String, Status> {
        let message = proto::auth::v1::IssueAnonymousTokenRequest {
            audience: "cart-service".into(),
        };
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", authorization.parse().unwrap());
        let response = TokenServiceClient::new(self.channel())
            .issue_anonymous_token(request)
            .await?;
        Ok(response.into_inner().access_token)
    }

    /// What a service with this audience makes of a token, by the JWKS as it is served.
    pub(crate) async fn verify(&self, audience: &str, token: &str) -> VerifiedToken {
        self.verifier(audience).await.verify(token).unwrap()
    }

    /// What verifies so, by the keys of this moment and without revocations.
    pub(crate) async fn verifier(&self, audience: &str) -> TokenVerifier {
        let jwks = get(self.http, "/.well-known/jwks.json", &[]).await;
        let keys = Keys::fixed(KeySet::from_json(&jwks.body).unwrap());
        let expectations = Expectations {
            issuer: self.issuer.clone(),
            audience: audience.to_owned(),
        };
        let clock: Arc<dyn Clock> = Arc::new(self.home.clock.clone());
        TokenVerifier::new(expectations, keys, clock)
    }
}

impl Clients {
    pub(crate) async fn register(&mut self, email: &str) -> RegisterResponse {
        self.register_over(email, "").await.unwrap()
    }

    pub(crate) async fn register_over(
        &mut self,
        email: &str,
        current: &str,
    ) -> Result<RegisterResponse, Status> {
        let request = RegisterRequest {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            display_name: "Ada".to_owned(),
            current_session_secret: current.to_owned(),
            client: client(HOME),
        };
        self.accounts
            .register(request)
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn login(
        &mut self,
        email: &str,
        password: &str,
    ) -> Result<LoginResponse, Status> {
        let request = LoginRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            current_session_secret: String::new(),
            client: client(HOME),
        };
        self.accounts
            .login(request)
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn guest(&mut self) -> Result<NewSession, Status> {
        let request = CreateGuestSessionRequest {
            client: client(HOME),
        };
        let response = self.sessions.create_guest_session(request).await?;
        Ok(response.into_inner().session.unwrap())
    }

    pub(crate) async fn exchange(
        &mut self,
        secret: &str,
        audience: &str,
    ) -> Result<ExchangeSessionResponse, Status> {
        let request = ExchangeSessionRequest {
            session_secret: secret.to_owned(),
            audience: audience.to_owned(),
        };
        self.tokens
            .exchange_session(request)
            .await
            .map(tonic::Response::into_inner)
    }
}

pub(crate) fn client(address: &str) -> Option<ClientInfo> {
    Some(ClientInfo {
        address: address.to_owned(),
        user_agent: "Mozilla/5.0 (X11)".to_owned(),
    })
}

#[track_caller]
pub(crate) fn check_refused<T: std::fmt::Debug>(
    result: Result<T, Status>,
    code: Code,
    reason: &str,
) -> Status {
    let status = result.unwrap_err();
    let found = chassis::status::reason_of(&status);
    assert_eq!(
        (status.code(), found.as_deref()),
        (code, Some(reason)),
        "{status:?}"
    );
    status
}

/// An HTTP response, read to its end.
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> HttpResponse {
    request(address, "GET", path, headers).await
}

pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> HttpResponse {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    let end = response
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(response[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    HttpResponse {
        status,
        head,
        body: response[end + 4..].to_vec(),
    }
}

pub(crate) async fn free_ports() -> Listeners {
    let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
    Listeners {
        grpc: bind().await.unwrap(),
        http: bind().await.unwrap(),
        operations: bind().await.unwrap(),
    }
}

/// Everything that the service wrote, in one piece.
pub(crate) fn files(directory: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn address(listener: &tokio::net::TcpListener) -> SocketAddr {
    listener.local_addr().unwrap()
}
