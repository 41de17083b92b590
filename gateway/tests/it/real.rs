//! Gateways before a real auth service and a service with streams.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::{
    SystemClock,
    grpc::{ConnectOptions, connect},
    settings::{self, Sources},
    workload::{AssertionLayer, AssertionSigner, AttachAssertion, WorkloadKey},
};
use gateway::config::{Access, Source, UpstreamSettings};
use http::Request;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use proto::auth::v1::{
    EndSessionRequest, operator_service_client::OperatorServiceClient,
    session_service_client::SessionServiceClient,
};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tower::Layer as _;

use crate::{
    harness::{Answer, COOKIE, eventually},
    ticks,
};

const GATEWAY: &str = "gateway";
const OPERATOR: &str = "operator";

type HttpClient = Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>;

/// An auth service, and a service that believes it.
pub(crate) struct Inside {
    pub(crate) auth: SocketAddr,
    ticks: SocketAddr,
    files: TempDir,
    stop: CancellationToken,
    _stop: DropGuard,
}

/// A gateway, and a browser.
pub(crate) struct RealGateway {
    /// Stops this gateway and nothing else.
    pub(crate) stop: CancellationToken,
    address: SocketAddr,
    operations: SocketAddr,
    client: HttpClient,
}

impl Inside {
    pub(crate) async fn start(access_token_ttl: Duration) -> Self {
        let files = TempDir::new().unwrap();
        let stop = CancellationToken::new();
        let (auth, jwks) = start_auth(files.path(), access_token_ttl, &stop).await;
        ticks::describe(&files.path().join("ticks.bin"));
        Self {
            auth,
            ticks: ticks::serve(jwks).await,
            files,
            _stop: stop.clone().drop_guard(),
            stop,
        }
    }

    /// A gateway that reaches the auth service at `auth`, ready.
    pub(crate) async fn gateway(
        &self,
        auth: SocketAddr,
        change: impl FnOnce(&mut gateway::Config),
    ) -> RealGateway {
        let gateway = self.unready_gateway(auth, change).await;
        eventually(async || gateway.is_ready().await).await;
        gateway
    }

    pub(crate) async fn unready_gateway(
        &self,
        auth: SocketAddr,
        change: impl FnOnce(&mut gateway::Config),
    ) -> RealGateway {
        let nowhere_yet = SocketAddr::from(([127, 0, 0, 1], 0));
        let ticks = format!("http://{}", self.ticks);
        let mut upstream = UpstreamSettings::new("ticks", &ticks, ticks::AUDIENCE, Access::Guest);
        upstream.descriptors = Source::File(self.files.path().join("ticks.bin"));
        let key = self.files.path().join("gateway.pem");
        let mut config = gateway::Config {
            listen: nowhere_yet,
            operations_listen: nowhere_yet,
            upstreams: vec![upstream],
            ..gateway::Config::new(&format!("http://{auth}"), key)
        };
        change(&mut config);
        let listeners = gateway::Listeners::bind(&config).await.unwrap();
        let gateway = RealGateway {
            stop: self.stop.child_token(),
            address: listeners.public.local_addr().unwrap(),
            operations: listeners.operations.local_addr().unwrap(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        };
        let (clock, stop) = (Arc::new(SystemClock), gateway.stop.clone());
        tokio::spawn(gateway::serve(config, listeners, clock, stop));
        gateway
    }

    /// Ends a session at the auth service, as another gateway would.
    pub(crate) async fn end(&self, cookie: &str) {
        let session_secret = cookie.to_owned();
        let ended = SessionServiceClient::new(self.signed(GATEWAY))
            .end_session(EndSessionRequest { session_secret })
            .await
            .unwrap();
        assert!(!ended.into_inner().ended_session_id.is_empty());
    }

    pub(crate) fn operator(&self) -> OperatorServiceClient<AttachAssertion<Channel>> {
        OperatorServiceClient::new(self.signed(OPERATOR))
    }

    fn signed(&self, name: &str) -> AttachAssertion<Channel> {
        let key = key(self.files.path(), name);
        let signer = AssertionSigner::new(name, key, "auth-service", Arc::new(SystemClock));
        let address = format!("http://{}", self.auth);
        let channel = connect(&address, ConnectOptions::default()).unwrap();
        AssertionLayer::new(signer).layer(channel)
    }
}

fn key(files: &Path, name: &str) -> WorkloadKey {
    WorkloadKey::load_or_create(&files.join(format!("{name}.pem"))).unwrap()
}

/// Its gRPC and JWKS addresses.
async fn start_auth(
    files: &Path,
    access_token_ttl: Duration,
    stop: &CancellationToken,
) -> (SocketAddr, SocketAddr) {
    let text = format!(
        "grpc_listen = '127.0.0.1:0'
        http_listen = '127.0.0.1:0'
        operations_listen = '127.0.0.1:0'
        database = '{files}/auth.db'
        key_encryption_key_file = '{files}/key-encryption-key'
        audiences = ['{audience}']
        [workloads.gateway]
        public_key = '{gateway}'
        may = ['accounts', 'sessions', 'exchange', 'watch']
        [workloads.operator]
        public_key = '{operator}'
        may = ['operate']",
        audience = ticks::AUDIENCE,
        gateway = key(files, GATEWAY).public_jwk(),
        operator = key(files, OPERATOR).public_jwk(),
        files = files.display(),
    );
    let sources = Sources::from_toml("auth-service.toml", &text);
    let mut config = settings::read(sources, auth_service::Config::read)
        .unwrap_or_else(|problems| panic!("{problems}"));
    // Shorter than anybody may set, so that tests end.
    config.access_token_ttl = access_token_ttl;
    let listeners = auth_service::Listeners::bind(&config).await.unwrap();
    let grpc = listeners.grpc.local_addr().unwrap();
    let http = listeners.http.local_addr().unwrap();
    let clock = Arc::new(SystemClock);
    tokio::spawn(auth_service::serve(config, listeners, clock, stop.clone()));
    (grpc, http)
}

impl RealGateway {
    /// A new person's cookie, session id and subject.
    pub(crate) async fn register(&self, email: &str) -> (String, String, String) {
        let form = json!({"email": email, "password": "correct horse battery"});
        let answer = self.post("/auth/register", None, form.to_string()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let body = answer.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let (id, subject) = (&body["session"]["id"], &body["user"]["subject"]);
        (answer.session().unwrap(), text(id), text(subject))
    }

    pub(crate) async fn log_out(&self, cookie: &str) {
        let answer = self.post("/auth/logout", Some(cookie), String::new()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    async fn post(&self, path: &str, cookie: Option<&str>, body: String) -> Answer {
        let mut request = Request::post(format!("http://{}{path}", self.address))
            .header("origin", format!("http://{}", self.address));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("{COOKIE}={cookie}"));
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Who calls, as the service sees it.
    pub(crate) async fn tick(&self, cookie: &str) -> Answer {
        self.get("/api/tick", cookie).await
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send(self.asking(path, cookie)).await
    }

    pub(crate) async fn caller(&self, cookie: &str) -> Option<String> {
        let answer = self.tick(cookie).await;
        (answer.status == 200).then(|| answer.json()["subject"].as_str().unwrap().to_owned())
    }

    /// A stream's lines, as they come.
    pub(crate) async fn watch(&self, path: &str, cookie: &str) -> Lines {
        let answer = self.client.request(self.asking(path, cookie)).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200);
        Lines {
            body: answer.into_body().map_err(Into::into).boxed(),
        }
    }

    fn asking(&self, path: &str, cookie: &str) -> Request<Full<Bytes>> {
        Request::get(format!("http://{}{path}", self.address))
            .header("cookie", format!("{COOKIE}={cookie}"))
            .body(Full::default())
            .unwrap()
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let uri = format!("http://{}/readyz", self.operations);
        let answer = self.client.get(uri.parse().unwrap()).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// A counter's value, whatever its labels are; 0 if nobody counted yet.
    pub(crate) async fn counted(&self, name: &str) -> f64 {
        let uri = format!("http://{}/metrics", self.operations);
        let answer = self.client.get(uri.parse().unwrap()).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| line.rsplit_once(' '));
        values
            .filter(|(of, _)| of.contains(name))
            .map(|(_, value)| value.parse::<f64>().unwrap())
            .sum()
    }
}

/// A response that is still coming.
pub(crate) struct Lines {
    body: BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>,
}

impl Lines {
    /// The next piece, which is a line here; nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<serde_json::Value> {
        loop {
            let frame = self.body.frame().await?.unwrap();
            if let Ok(line) = frame.into_data() {
                return Some(serde_json::from_slice(&line).unwrap());
            }
        }
    }

    /// Reads on until the problem document, and makes sure that it is the last line.
    pub(crate) async fn problem(&mut self) -> serde_json::Value {
        while let Some(line) = self.next().await {
            if let Some(problem) = line.get("error") {
                assert!(self.next().await.is_none(), "a line after the last");
                return problem.clone();
            }
        }
        panic!("the stream ended without a word")
    }
}
