//! The program under test, with an issuer and a revocation feed of its own and a clock
//! that tests set.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use cart_service::{AUDIENCE, Config, Listeners, ServeError, serve};
use chassis::{
    ManualClock, grpc::GrpcLimits, revocations::RevocationSettings, telemetry::TelemetrySettings,
    verifier::TokenSettings,
};
use jiff::Timestamp;
use proto::cart::v1::cart_service_client::CartServiceClient;
use tempfile::TempDir;
use token_verifier::testing::{TestFeed, TestIssuer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

pub(crate) const ALICE: &str = "usr_018f4e2a-7b1c-7d3e-8f40-00000000000a";
pub(crate) const BOB: &str = "usr_018f4e2a-7b1c-7d3e-8f40-00000000000b";
pub(crate) const GUEST: &str = "gst_018f4e2a-7b1c-7d3e-8f40-000000000001";
pub(crate) const WORKLOAD: &str = "svc_gateway";
pub(crate) const ANONYMOUS: &str = "anonymous";

pub(crate) const ISSUER: &str = "http://issuer.test";

pub(crate) type Client = CartServiceClient<Channel>;

/// A running program and everything around it.
pub(crate) struct Program {
    pub(crate) issuer: TestIssuer,
    pub(crate) feed: TestFeed,
    pub(crate) clock: ManualClock,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    operations: SocketAddr,
    running: JoinHandle<Result<(), ServeError>>,
    directory: TempDir,
}

impl Program {
    /// A program with an empty database, ready to serve.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let (clock, feed) = following().await;
        let program = Self::launch_with_keys(clock, feed, change).await;
        program.ready().await;
        program
    }

    /// A program whose auth service lets nobody watch until the feed is healed.
    pub(crate) async fn start_without_revocations() -> Self {
        let clock = new_clock();
        let feed = TestFeed::start_cut(Arc::new(clock.clone())).await;
        Self::launch_with_keys(clock, feed, |_| ()).await
    }

    async fn launch_with_keys(
        clock: ManualClock,
        feed: TestFeed,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let issuer = TestIssuer::new(ISSUER);
        let keys = serve_keys(issuer.jwks_json()).await;
        let directory = TempDir::new().unwrap();
        Self::launch(issuer, feed, clock, directory, keys, change).await
    }

    /// A program whose issuer's keys cannot be had.
    pub(crate) async fn start_without_keys() -> Self {
        // Bound and dropped: nobody listens there.
        let nobody = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let (clock, feed) = following().await;
        let issuer = TestIssuer::new(ISSUER);
        let directory = TempDir::new().unwrap();
        Self::launch(issuer, feed, clock, directory, nobody, |_| ()).await
    }

    /// Why a program with this database does not start.
    pub(crate) async fn start_failing(database: PathBuf) -> ServeError {
        let nobody = "127.0.0.1:1".parse().unwrap();
        let (clock, feed) = following().await;
        let directory = TempDir::new().unwrap();
        let change = |config: &mut Config| config.database = database;
        let issuer = TestIssuer::new(ISSUER);
        let program = Self::launch(issuer, feed, clock, directory, nobody, change).await;
        program.ended().await.expect_err("no database, no service")
    }

    /// The same program again, on the same database.
    pub(crate) async fn restart(self) -> Self {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        let keys = serve_keys(self.issuer.jwks_json()).await;
        let (issuer, feed, clock) = (self.issuer, self.feed, self.clock);
        let program = Self::launch(issuer, feed, clock, self.directory, keys, |_| ()).await;
        program.ready().await;
        program
    }

    /// Waits until the program has ended by itself.
    pub(crate) async fn ended(self) -> Result<(), ServeError> {
        self.running.await.unwrap()
    }

    async fn launch(
        issuer: TestIssuer,
        feed: TestFeed,
        clock: ManualClock,
        directory: TempDir,
        keys: SocketAddr,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let jwks_url = format!("http://{keys}/.well-known/jwks.json");
        let file = |name: &str| directory.path().join(name);
        let revocations = RevocationSettings::new(&feed.address(), AUDIENCE, file("workload.pem"));
        let saved_jwks = file("jwks.json");
        let mut config = Config {
            listen: any,
            operations_listen: any,
            database: file("data.db"),
            reflection: true,
            limits: GrpcLimits::default(),
            tokens: TokenSettings::new(ISSUER, AUDIENCE, &jwks_url, saved_jwks, revocations)
                .unwrap(),
            telemetry: TelemetrySettings::default(),
        };
        change(&mut config);
        let listeners = Listeners::bind(&config).await.unwrap();
        let address = listeners.grpc.local_addr().unwrap();
        let operations = listeners.operations.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = serve(config, listeners, Arc::new(clock.clone()), shutdown.clone());
        let running = tokio::spawn(serving);
        Self {
            issuer,
            feed,
            clock,
            address,
            shutdown,
            operations,
            running,
            directory,
        }
    }

    pub(crate) async fn ready(&self) {
        let mut health = HealthClient::new(self.channel().await);
        let everything = HealthCheckRequest {
            service: String::new(),
        };
        let mut updates = health.watch(everything).await.unwrap().into_inner();
        while let Some(update) = updates.message().await.unwrap() {
            if update.status() == ServingStatus::Serving {
                return;
            }
        }
        panic!("the program ended before it was ready");
    }

    /// Waits until only other things than keys are missing.
    pub(crate) async fn has_keys(&self) {
        let missing = async || self.operations("/readyz").await.contains("keys");
        let wait = async { while missing().await {} };
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(10), wait).await;
        in_time.expect("keys come at once");
    }

    /// Whether a decision about a token was counted under this label.
    pub(crate) async fn counted(&self, label: &str) -> bool {
        let metrics = self.operations("/metrics").await;
        let name = "latchkey_token_verifications_total";
        let is_counted =
            |line: &str| line.starts_with(name) && line.contains(label) && !line.ends_with(" 0");
        metrics.lines().any(is_counted)
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::new(self.channel().await)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("data.db")
    }

    /// Runs SQL beside the program, on a connection of its own.
    pub(crate) async fn tamper(&self, sql: &str) {
        let beside = chassis::sqlite::open(&self.database()).await.unwrap();
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(beside.writer()).await.unwrap();
        beside.close().await;
    }

    /// How many rows of any subject the database holds.
    pub(crate) async fn rows(&self) -> i64 {
        let beside = chassis::sqlite::open(&self.database()).await.unwrap();
        let rows = sqlx::query_scalar(ROWS)
            .fetch_one(beside.readers())
            .await
            .unwrap();
        beside.close().await;
        rows
    }

    /// A good token.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.issuer.token(AUDIENCE, subject, self.now())
    }

    /// A good token of somebody who was a guest before signing in.
    pub(crate) fn token_after(&self, subject: &str, prior_subject: &str) -> String {
        let mut claims = self.issuer.default_claims(AUDIENCE, subject, self.now());
        claims["prior_sub"] = prior_subject.into();
        self.issuer.token_with(self.issuer.default_header(), claims)
    }

    /// A good token of a session that can be revoked.
    pub(crate) fn token_of(&self, subject: &str, session_id: &str) -> String {
        let mut claims = self.issuer.default_claims(AUDIENCE, subject, self.now());
        claims["sid"] = session_id.into();
        self.issuer.token_with(self.issuer.default_header(), claims)
    }

    pub(crate) fn now(&self) -> Timestamp {
        use chassis::Clock;
        self.clock.now()
    }

    /// Status line, headers and body of the operations port's answer.
    pub(crate) async fn operations(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.operations).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

const ROWS: &str = "SELECT (SELECT count(*) FROM carts) + (SELECT count(*) FROM cart_lines)
                         + (SELECT count(*) FROM merged_guests)";

fn new_clock() -> ManualClock {
    ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap())
}

/// A clock, and a feed that goes by it.
async fn following() -> (ManualClock, TestFeed) {
    let clock = new_clock();
    let feed = TestFeed::start(Arc::new(clock.clone())).await;
    (clock, feed)
}

/// A request with a token.
pub(crate) fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// The issuer's JWKS, as the auth service serves it.
async fn serve_keys(jwks: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || async move { ([(CONTENT_TYPE, "application/json")], jwks) };
    let router = Router::new().route("/.well-known/jwks.json", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
