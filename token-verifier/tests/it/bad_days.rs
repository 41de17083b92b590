//! Keys over a real socket while the issuer, or somebody in its place, does its worst, and
//! strangers invent names of keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use token_verifier::testing::TestIssuer;
use token_verifier::{Keys, ManualClock, RemoteOptions, TokenVerifier};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::stage::{AUDIENCE, ISSUER, USER, expectations, now};

/// What the server does with a request.
#[derive(Clone)]
enum Act {
    Answers(String),
    /// Promises more than it sends.
    BreaksOff(String),
    /// Sends for as long as somebody reads, up to 50 MB.
    Pours,
    StaysSilent,
}

use Act::{Answers, BreaksOff, Pours, StaysSilent};

/// A server that counts, and notes how many requests were ever open at once.
#[derive(Clone)]
struct Server {
    act: Arc<Mutex<Act>>,
    requests: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
}

impl Server {
    async fn start(act: Act) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let server = Self {
            act: Arc::new(Mutex::new(act)),
            requests: Arc::default(),
            open: Arc::default(),
            most_open: Arc::default(),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(accepting.clone().serve(connection));
            }
        });
        (server, url)
    }

    async fn serve(self, mut connection: TcpStream) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        let act = self.act.lock().unwrap().clone();
        // The reader may have had enough before the end.
        let _ = perform(act, &mut connection).await;
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn does(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }

    fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn perform(act: Act, connection: &mut TcpStream) -> std::io::Result<()> {
    let mut head = [0; 2048];
    let _ = connection.read(&mut head).await?;
    match act {
        Answers(answer) => connection.write_all(answer.as_bytes()).await,
        BreaksOff(document) => {
            let head = head_of("application/json", document.len() + 100);
            connection.write_all(head.as_bytes()).await?;
            connection.write_all(document.as_bytes()).await
        }
        Pours => {
            let head = head_of("application/json", 50_000_000);
            connection.write_all(head.as_bytes()).await?;
            for _ in 0..5_000 {
                connection.write_all(&[b' '; 10_000]).await?;
            }
            Ok(())
        }
        // Until the reader goes.
        StaysSilent => connection.read(&mut head).await.map(drop),
    }
}

fn head_of(content_type: &str, length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n")
}

fn answer_as(content_type: &str, document: &str) -> Act {
    Answers(head_of(content_type, document.len()) + document)
}

fn publishes(keys: &[Value]) -> Act {
    answer_as("application/json", &json!({ "keys": keys }).to_string())
}

fn says(status: &str) -> Act {
    Answers(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))
}

type Fetches = UnboundedReceiver<Result<(), String>>;

fn verifier(url: &str) -> (TokenVerifier, Fetches) {
    let (tell, fetches) = unbounded_channel();
    let options = RemoteOptions::new(url)
        .unwrap()
        .min_interval(Duration::ZERO)
        .timeout(Duration::from_millis(300))
        .on_fetch(move |outcome| drop(tell.send(outcome.map_err(ToString::to_string))));
    let (keys, driver) = Keys::remote(options);
    tokio::spawn(driver);
    let clock = Arc::new(ManualClock::at(now()));
    (TokenVerifier::new(expectations(), keys, clock), fetches)
}

fn token(issuer: &TestIssuer) -> String {
    issuer.token(AUDIENCE, USER, now())
}

/// A thousand tokens of keys that nobody has.
fn flood(verifier: &TokenVerifier, issuer: &TestIssuer) {
    for n in 0..1_000 {
        let mut header = issuer.default_header();
        header["kid"] = format!("invented-{n}").into();
        let claims = issuer.default_claims(AUDIENCE, USER, now());
        let error = verifier.verify(&issuer.token_with(header, claims));
        assert_eq!(error.unwrap_err().reason(), "unknown_kid");
    }
}

fn worst_days(good: &TestIssuer, evil: &TestIssuer) -> Vec<(&'static str, Act)> {
    let mut private = evil.jwk();
    private["d"] = "AA".into();
    let mut namesake = evil.jwk();
    namesake["kid"] = good.kid().into();
    let secret = json!({"kty": "oct", "kid": "x", "k": "AA"});
    let evil_document = json!({ "keys": [evil.jwk()] }).to_string();
    vec![
        ("in time", StaysSilent),
        ("500", says("500 Internal Server Error")),
        ("302", says("302 Found\r\nlocation: http://127.0.0.1:9/")),
        ("body broke off", BreaksOff(evil_document.clone())),
        ("refused", Pours),
        ("plain JSON", answer_as("text/html", &evil_document)),
        (
            "refused",
            answer_as("application/json", &evil_document[1..]),
        ),
        ("refused", publishes(&[])),
        ("refused", publishes(&[private, good.jwk()])),
        ("refused", publishes(&[secret, good.jwk()])),
        ("refused", publishes(&[good.jwk(), namesake])),
    ]
}

// TJ-21, TJ-22, TJ-23, TJ-24: through all of it good tokens pass, bad keys never count,
// each bell costs one fetch, and a new key is known with the first good answer.
#[tokio::test]
async fn good_tokens_pass_whatever_the_address_answers() {
    let (good, evil, new) = (
        TestIssuer::new(ISSUER),
        TestIssuer::new(ISSUER),
        TestIssuer::new(ISSUER),
    );
    let (server, url) = Server::start(publishes(&[good.jwk()])).await;
    let (verifier, mut fetches) = verifier(&url);
    fetches.recv().await.unwrap().unwrap();
    let mut count = 1;
    for (reason, act) in worst_days(&good, &evil) {
        server.does(act);
        flood(&verifier, &good);
        let error = fetches.recv().await.unwrap().unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
        count += 1;
        assert_eq!(server.count(), count, "{reason}");
        verifier.verify(&token(&good)).unwrap();
        let refused = verifier.verify(&token(&evil)).unwrap_err();
        assert_eq!(refused.reason(), "unknown_kid");
    }
    assert_eq!(server.most_open.load(Ordering::SeqCst), 1);

    server.does(publishes(&[good.jwk(), new.jwk()]));
    flood(&verifier, &good);
    while fetches.recv().await.unwrap().is_err() {}
    verifier.verify(&token(&new)).unwrap();
    verifier.verify(&token(&good)).unwrap();
}
