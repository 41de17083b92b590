//! A revocation feed for tests: the auth service's `Watch`, over a real connection, with
//! a log that the test writes.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::auth::v1::revocation::Target;
use proto::auth::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use proto::auth::v1::watch_response::Event;
use proto::auth::v1::{
    Heartbeat, KeySet, Opening, Revocation, RevocationBatch, SubjectRevocation, WatchRequest,
    WatchResponse,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::Clock;

const LOG_ID: &str = "test-log";

/// More often than the real feed's, so that a test that waits for one waits less.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// As the auth service keeps its entries: longer than any token lives.
const ENTRY_LIFE_SECONDS: i64 = 360;

/// A running feed. It lets anybody watch, and ends when it is dropped.
///
/// Its clock is the issuer's: followers judge tokens by it.
pub struct TestFeed {
    address: SocketAddr,
    log: watch::Sender<Log>,
    clock: Arc<dyn Clock>,
    server: AbortHandle,
}

#[derive(Clone, Debug, Default)]
struct Log {
    entries: Vec<Revocation>,
    jwks: Option<Vec<u8>>,
    is_silent: bool,
    is_cut: bool,
}

impl TestFeed {
    /// A feed with an empty log on a free port of the loopback address.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        Self::start_with(clock, Log::default()).await
    }

    /// A feed that answers nobody until it is [healed](Self::heal).
    ///
    /// # Panics
    ///
    /// If no port can be had.
    pub async fn start_cut(clock: Arc<dyn Clock>) -> Self {
        let is_cut = true;
        Self::start_with(
            clock,
            Log {
                is_cut,
                ..Log::default()
            },
        )
        .await
    }

    async fn start_with(clock: Arc<dyn Clock>, log: Log) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("the system has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let log = watch::Sender::new(log);
        let service = RevocationServiceServer::new(Watched {
            log: log.clone(),
            clock: Arc::clone(&clock),
        });
        let serve = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener));
        Self {
            address,
            log,
            clock,
            server: tokio::spawn(serve).abort_handle(),
        }
    }

    /// Where it is, as settings want it: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Revokes every token of a session.
    ///
    /// # Panics
    ///
    /// If `session_id` is no UUID: no other session can be revoked.
    pub fn revoke_session(&self, session_id: &str) {
        let id = uuid_bytes(session_id).expect("session ids are UUIDs");
        self.append(Target::SessionId(id.into()));
    }

    /// Revokes what was issued to a subject before an instant, in seconds since 1970.
    pub fn revoke_subject(&self, subject: &str, issued_before_s: i64) {
        self.append(Target::Subject(SubjectRevocation {
            subject: subject.to_owned(),
            issued_before_s,
        }));
    }

    /// Revokes whatever a key signed.
    pub fn revoke_key(&self, key_id: &str) {
        self.append(Target::KeyId(key_id.to_owned()));
    }

    /// Announces a JWKS document, now and to whoever comes later.
    pub fn key_set(&self, jwks: impl Into<Vec<u8>>) {
        let jwks = jwks.into();
        self.log.send_modify(|log| log.jwks = Some(jwks));
    }

    /// Falls silent without ending anything, as an auth service does that hangs.
    pub fn stop_heartbeats(&self) {
        self.log.send_modify(|log| log.is_silent = true);
    }

    /// Ends every stream and refuses new ones, as an auth service does that is away. What
    /// is revoked meanwhile is heard of after [`heal`](Self::heal).
    pub fn cut(&self) {
        self.log.send_modify(|log| log.is_cut = true);
    }

    /// Ends [`cut`](Self::cut) and [`stop_heartbeats`](Self::stop_heartbeats).
    pub fn heal(&self) {
        self.log.send_modify(|log| {
            log.is_cut = false;
            log.is_silent = false;
        });
    }

    fn append(&self, target: Target) {
        let now = self.clock.now();
        self.log.send_modify(|log| {
            log.entries.push(Revocation {
                seq: log.head() + 1,
                target: Some(target),
                revoked_at_us: now.as_microsecond(),
                expires_at_s: now.as_second() + ENTRY_LIFE_SECONDS,
            });
        });
    }
}

impl fmt::Debug for TestFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestFeed")
            .field("address", &self.address)
            .field("log", &*self.log.borrow())
            .finish_non_exhaustive()
    }
}

impl Drop for TestFeed {
    fn drop(&mut self) {
        self.server.abort();
        // The server's connections are tasks of their own.
        self.cut();
    }
}

impl Log {
    fn head(&self) -> u64 {
        self.entries.len() as u64
    }

    fn batch(&self, after_seq: u64) -> RevocationBatch {
        let is_new = |entry: &&Revocation| entry.seq > after_seq;
        RevocationBatch {
            after_seq,
            through_seq: self.head(),
            revocations: self.entries.iter().filter(is_new).cloned().collect(),
        }
    }
}

/// The service behind the connection.
struct Watched {
    log: watch::Sender<Log>,
    clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl RevocationService for Watched {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let log = self.log.subscribe();
        if log.borrow().is_cut {
            return Err(away());
        }
        let (sender, receiver) = mpsc::channel(64);
        let tail = Tail {
            log,
            clock: Arc::clone(&self.clock),
            sender,
        };
        tokio::spawn(tail.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// One watcher's stream.
struct Tail {
    log: watch::Receiver<Log>,
    clock: Arc<dyn Clock>,
    sender: mpsc::Sender<Result<WatchResponse, Status>>,
}

/// The watcher has gone, or is told to go.
struct Over;

impl Tail {
    async fn run(mut self, request: WatchRequest) {
        // Either way there is nobody left to tell.
        let _: Result<(), Over> = self.tell(request).await;
    }

    async fn tell(&mut self, request: WatchRequest) -> Result<(), Over> {
        let mut log = self.log.borrow_and_update().clone();
        let knows = request.log_id == LOG_ID && request.after_seq <= log.head();
        let mut told = if knows { request.after_seq } else { 0 };
        self.open(told, log.head()).await?;
        let mut jwks = None;
        loop {
            if log.is_cut {
                let _ = self.sender.send(Err(away())).await;
                return Err(Over);
            }
            if log.head() > told {
                self.send(Event::Batch(log.batch(told))).await?;
                told = log.head();
            }
            if log.jwks != jwks {
                jwks.clone_from(&log.jwks);
                let jwks = log.jwks.clone().unwrap_or_default();
                self.send(Event::KeySet(KeySet { jwks })).await?;
            }
            if !log.is_silent {
                self.beat(log.head()).await?;
            }
            log = self.next().await?;
        }
    }

    async fn open(&self, after_seq: u64, head_seq: u64) -> Result<(), Over> {
        self.send(Event::Opening(Opening {
            log_id: LOG_ID.to_owned(),
            after_seq,
            head_seq,
            now_us: self.clock.now().as_microsecond(),
        }))
        .await
    }

    async fn beat(&self, head_seq: u64) -> Result<(), Over> {
        let now_us = self.clock.now().as_microsecond();
        self.send(Event::Heartbeat(Heartbeat { head_seq, now_us }))
            .await
    }

    /// The log when it has changed, or when a heartbeat is due.
    async fn next(&mut self) -> Result<Log, Over> {
        tokio::select! {
            () = self.sender.closed() => return Err(Over),
            changed = self.log.changed() => changed.map_err(|_| Over)?,
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
        Ok(self.log.borrow_and_update().clone())
    }

    async fn send(&self, event: Event) -> Result<(), Over> {
        let message = WatchResponse { event: Some(event) };
        self.sender.send(Ok(message)).await.map_err(|_| Over)
    }
}

fn away() -> Status {
    Status::unavailable("the feed is cut")
}

/// The 16 bytes of a UUID in its text form.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let digits = text.replace('-', "");
    let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hex.then(|| u128::from_str_radix(&digits, 16).ok())??;
    Some(number.to_be_bytes())
}
