//! A `latchkey` that runs as people start it, and what they do with it.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use proto::cart::v1::{GetCartRequest, cart_service_client::CartServiceClient};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tonic::{Request, Status, transport::Endpoint};

const PROGRAM: &str = env!("CARGO_BIN_EXE_latchkey");

/// The promise with a healthy feed is milliseconds; this leaves room for a machine that
/// builds and tests at the same time.
pub(crate) const BOUND: Duration = Duration::from_secs(1);
/// For what has no promise, in a debug build.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// All parts in one process. Ends with the value.
pub(crate) struct Latchkey {
    child: Child,
    directory: TempDir,
    addresses: Value,
}

/// How a subcommand ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Latchkey {
    /// Starts it in a new directory and waits until every part is ready.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = Command::new(PROGRAM)
            .arg("--ephemeral")
            .arg("--data-dir")
            .arg(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // From here on it ends with this value, whatever goes wrong.
        let mut latchkey = Self {
            child,
            directory,
            addresses: Value::Null,
        };
        let stdout = BufReader::new(latchkey.child.stdout.take().unwrap());
        // Written when all sockets are bound and the address file is there.
        let mut lines = stdout.lines().map(Result::unwrap);
        lines
            .find(|line| line.starts_with("Things to try"))
            .expect("the table of addresses");
        let addresses = std::fs::read(latchkey.path("addresses.json")).unwrap();
        latchkey.addresses = serde_json::from_slice(&addresses).unwrap();
        for part in ["auth", "cart", "profile", "gateway"] {
            latchkey.becomes_ready(part).await;
        }
        latchkey
    }

    async fn becomes_ready(&self, part: &str) {
        let address = self.address(&format!("{part}_operations"));
        within(PATIENCE, part, async || {
            let answer = get(address, "/readyz").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.addresses[name].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a subcommand beside it, found by the data directory.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let data_dir = self.directory.path().to_str().unwrap();
        run(&[arguments, &["--data-dir", data_dir]].concat())
    }

    /// What a subcommand prints that must do what it is told.
    #[track_caller]
    pub(crate) fn prints(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
        outcome.stdout.trim_end().to_owned()
    }

    /// A new guest's token for the cart service.
    pub(crate) fn guest_token(&self) -> String {
        self.prints(&["token", "--audience", "cart-service", "--guest"])
    }

    /// A call of the cart service, as grpcurl would make it.
    pub(crate) async fn get_cart(&self, token: &str) -> Result<(), Status> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address("cart"))).unwrap();
        let mut cart = CartServiceClient::new(endpoint.connect_lazy());
        let mut request = Request::new(GetCartRequest {});
        let authorization = format!("Bearer {token}").parse().unwrap();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        cart.get_cart(request).await.map(|_| ())
    }

    /// Waits until the cart service refuses this token, for no longer than promised.
    pub(crate) async fn becomes_refused(&self, token: &str) {
        let refused = within(BOUND, "a refusal", async || {
            self.get_cart(token).await.err()
        })
        .await;
        assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused:?}");
    }

    /// A request of a browser with this cookie.
    pub(crate) async fn browse(&self, head: &str, cookie: &str, body: &str) -> Answer {
        let gateway = self.address("gateway");
        let origin = format!("http://localhost:{}", gateway.port());
        let (length, host) = (body.len(), &origin["http://".len()..]);
        let text = format!(
            "{head} HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\ncookie: {cookie}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        );
        send(gateway, &text).await
    }
}

impl Drop for Latchkey {
    fn drop(&mut self) {
        // It may have ended already, which the test then has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a subcommand to its end.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The session cookie that it sets, as it is sent back.
    pub(crate) fn cookie(&self) -> String {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let (_, cookie) = lines
            .find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .unwrap_or_else(|| panic!("no cookie in {}", self.head));
        cookie.split(';').next().unwrap().to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    let text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    send(address, &text).await
}

async fn send(address: SocketAddr, text: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Asks again until there is an answer. Another process decides when that is, so that
/// nothing but asking tells.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < limit, "no {what} within {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
