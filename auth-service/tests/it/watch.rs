//! The revocation log as verifiers follow it, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use auth_service::serve;
use chassis::grpc::{ConnectOptions, connect};
use proto::auth::v1::revocation::Target;
use proto::auth::v1::revocation_service_client::RevocationServiceClient;
use proto::auth::v1::watch_response::Event;
use proto::auth::v1::{
    AccountName, ChangePasswordRequest, DisableAccountRequest, EndSessionRequest, LoginRequest,
    Opening, OperatorRevokeSessionRequest, Revocation, RevokeOtherSessionsRequest,
    RevokeSessionRequest, RevokeSubjectRequest, WatchRequest, WatchResponse, account_name::Name,
};
use sqlx::Connection as _;
use token_verifier::Clock;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};

use crate::outage::other_program;
use crate::support::{Auth, Clients, HOME, PASSWORD, check_refused, client, free_ports, get};

const EMAIL: &str = "ada@example.com";

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open stream, checked as a follower would.
struct Feed {
    stream: Streaming<WatchResponse>,
    opening: Opening,
    through: u64,
}

impl Feed {
    async fn open(auth: &Auth, log_id: &str, after_seq: u64) -> Self {
        let stream = watch_as(auth, "cart-service", log_id, after_seq).await;
        Self::begin(stream.unwrap()).await
    }

    async fn begin(stream: Streaming<WatchResponse>) -> Self {
        let mut feed = Self {
            stream,
            opening: Opening::default(),
            through: 0,
        };
        let Event::Opening(opening) = feed.event().await.unwrap() else {
            panic!("the first message is no opening");
        };
        feed.through = opening.after_seq;
        feed.opening = opening;
        feed
    }

    async fn event(&mut self) -> Result<Event, Status> {
        let message = tokio::time::timeout(PATIENCE, self.stream.message()).await;
        Ok(message.unwrap()?.unwrap().event.unwrap())
    }

    /// The next entries, without a gap or a repetition.
    async fn entries(&mut self, count: usize) -> Vec<Revocation> {
        let mut entries: Vec<Revocation> = Vec::new();
        while entries.len() < count {
            match self.event().await.unwrap() {
                Event::Batch(batch) => {
                    assert_eq!(batch.after_seq, self.through);
                    assert!(batch.through_seq >= batch.after_seq);
                    self.through = batch.through_seq;
                    entries.extend(batch.revocations);
                }
                Event::Heartbeat(heartbeat) => assert!(heartbeat.head_seq <= self.through),
                Event::KeySet(_) => {}
                Event::Opening(_) => panic!("a second opening"),
            }
        }
        assert_eq!(entries.len(), count, "{entries:?}");
        assert!(entries.is_sorted_by(|one, next| one.seq < next.seq));
        entries
    }

    async fn ended_sessions(&mut self, count: usize) -> Vec<String> {
        self.entries(count).await.iter().map(session_of).collect()
    }

    async fn heartbeat(&mut self) -> u64 {
        loop {
            if let Event::Heartbeat(heartbeat) = self.event().await.unwrap() {
                return heartbeat.head_seq;
            }
        }
    }

    /// How it ends.
    async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.event().await {
                return status;
            }
        }
    }
}

fn session_of(entry: &Revocation) -> String {
    match &entry.target {
        Some(Target::SessionId(bytes)) => uuid::Uuid::from_slice(bytes).unwrap().to_string(),
        other => panic!("no session: {other:?}"),
    }
}

async fn watch_as(
    auth: &Auth,
    name: &str,
    log_id: &str,
    after_seq: u64,
) -> Result<Streaming<WatchResponse>, Status> {
    let mut client = RevocationServiceClient::new(auth.signed(name));
    let log_id = log_id.to_owned();
    let request = WatchRequest { log_id, after_seq };
    Ok(client.watch(request).await?.into_inner())
}

/// Somebody signs in; the id and the secret of the session.
async fn login(gateway: &mut Clients) -> (String, String) {
    let answer = gateway.login(EMAIL, PASSWORD).await.unwrap();
    let session = answer.session.unwrap();
    (session.session.unwrap().id, session.session_secret)
}

async fn register(gateway: &mut Clients) -> (String, String) {
    let session = gateway.register(EMAIL).await.session.unwrap();
    (session.session.unwrap().id, session.session_secret)
}

async fn logout(gateway: &mut Clients, secret: &str) {
    let session_secret = secret.to_owned();
    let request = EndSessionRequest { session_secret };
    gateway.sessions.end_session(request).await.unwrap();
}

/// A guest's session that is over: an entry in the log.
async fn ended_guest(gateway: &mut Clients) -> String {
    let guest = gateway.guest().await.unwrap();
    logout(gateway, &guest.session_secret).await;
    guest.session.unwrap().id
}

#[tokio::test]
async fn whatever_ends_a_session_is_told_in_order() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let mut feed = Feed::open(&auth, "", 0).await;
    assert_eq!((feed.opening.after_seq, feed.opening.head_seq), (0, 0));

    let (first, _) = register(&mut gateway).await;
    let (second, secret) = login(&mut gateway).await;
    logout(&mut gateway, &secret).await;
    assert_eq!(feed.ended_sessions(1).await, [second]);

    let (third, third_secret) = login(&mut gateway).await;
    let request = RevokeSessionRequest {
        session_secret: third_secret.clone(),
        session_id: first.clone(),
    };
    gateway.sessions.revoke_session(request).await.unwrap();
    assert_eq!(feed.ended_sessions(1).await, [first]);

    let (fourth, secret) = login(&mut gateway).await;
    let request = RevokeOtherSessionsRequest {
        session_secret: secret.clone(),
    };
    let request = gateway.sessions.revoke_other_sessions(request);
    request.await.unwrap();
    assert_eq!(feed.ended_sessions(1).await, [third]);

    let (fifth, fifth_secret) = login(&mut gateway).await;
    let request = ChangePasswordRequest {
        session_secret: fifth_secret,
        current_password: PASSWORD.to_owned(),
        new_password: "another long password".to_owned(),
        client: client(HOME),
    };
    let answer = gateway.accounts.change_password(request).await.unwrap();
    let changed = answer.into_inner().session.unwrap().session.unwrap().id;
    // Tokens of the old cookie are to end as well.
    assert_eq!(feed.ended_sessions(2).await, [fourth, fifth]);

    let guest = gateway.guest().await.unwrap();
    let request = LoginRequest {
        email: EMAIL.to_owned(),
        password: "another long password".to_owned(),
        current_session_secret: guest.session_secret,
        client: client(HOME),
    };
    let answer = gateway.accounts.login(request).await.unwrap().into_inner();
    let guest = guest.session.unwrap().id;
    assert_eq!(feed.ended_sessions(1).await, [guest]);

    let sixth = answer.session.unwrap().session.unwrap().id;
    let mut operator = auth.clients("latchkey").operator;
    let session_id = sixth.clone();
    let request = OperatorRevokeSessionRequest { session_id };
    operator.revoke_session(request).await.unwrap();
    assert_eq!(feed.ended_sessions(1).await, [sixth]);

    let name = Some(Name::Email(EMAIL.to_owned()));
    let account = Some(AccountName { name });
    let request = DisableAccountRequest { account };
    operator.disable_account(request).await.unwrap();
    let entries = feed.entries(2).await;
    let Some(Target::Subject(subject)) = &entries[0].target else {
        panic!("no subject: {entries:?}");
    };
    assert!(subject.subject.starts_with("usr_"));
    assert_eq!(session_of(&entries[1]), changed);
    auth.stop().await;
}

#[tokio::test]
async fn the_keys_come_with_the_opening() {
    let auth = Auth::start().await;
    let mut feed = Feed::open(&auth, "", 0).await;
    let Event::KeySet(key_set) = feed.event().await.unwrap() else {
        panic!("no keys");
    };
    let jwks = get(auth.http, "/.well-known/jwks.json", &[]).await;
    assert_eq!(key_set.jwks, jwks.body);
    assert_eq!(feed.heartbeat().await, 0);
    auth.stop().await;
}

#[tokio::test]
async fn a_known_place_is_resumed_and_any_other_gets_a_snapshot() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let mut ended = Vec::new();
    for _ in 0..3 {
        ended.push(ended_guest(&mut gateway).await);
    }
    let log_id = Feed::open(&auth, "", 0).await.opening.log_id;
    let cases = [
        (log_id.as_str(), 2, 2),
        (log_id.as_str(), 3, 3),
        (log_id.as_str(), 0, 0),
        (log_id.as_str(), 4, 0),
        ("0123456789abcdef0123456789abcdef", 2, 0),
        ("", 2, 0),
    ];
    for (asked, after_seq, begins) in cases {
        let mut feed = Feed::open(&auth, asked, after_seq).await;
        assert_eq!(feed.opening.after_seq, begins, "{asked:?} {after_seq}");
        assert_eq!(feed.opening.head_seq, 3);
        let rest = &ended[usize::try_from(begins).unwrap()..];
        assert_eq!(feed.ended_sessions(rest.len()).await, rest);
    }
    auth.stop().await;
}

#[tokio::test]
async fn the_log_survives_a_restart_which_ends_streams() {
    let auth = Auth::start().await;
    let ended = ended_guest(&mut auth.gateway()).await;
    let mut feed = Feed::open(&auth, "", 0).await;
    assert_eq!(feed.ended_sessions(1).await, [ended.as_str()]);
    let log_id = feed.opening.log_id.clone();
    let (home, status) = tokio::join!(auth.stop(), feed.end());
    check_refused::<()>(Err(status), Code::Unavailable, "STOPPING");

    let auth = Auth::start_in(home, |_| {}).await;
    let later = ended_guest(&mut auth.gateway()).await;
    let mut feed = Feed::open(&auth, &log_id, 1).await;
    assert_eq!(feed.opening.after_seq, 1);
    assert_eq!(feed.ended_sessions(1).await, [later.as_str()]);
    let mut feed = Feed::open(&auth, "", 0).await;
    assert_eq!(feed.opening.log_id, log_id);
    assert_eq!(feed.ended_sessions(2).await, [ended, later]);
    auth.stop().await;
}

#[tokio::test]
async fn only_a_workload_that_may_watch_does() {
    let auth = Auth::start().await;
    let refused = watch_as(&auth, "gateway", "", 0).await;
    check_refused(refused, Code::PermissionDenied, "WORKLOAD_NOT_ALLOWED");
    let mut stranger = RevocationServiceClient::new(auth.channel());
    let refused = stranger.watch(WatchRequest::default()).await;
    check_refused(refused, Code::Unauthenticated, "WORKLOAD_UNAUTHENTICATED");
    let secret = auth.gateway().guest().await.unwrap().session_secret;
    let token = auth.gateway().exchange(&secret, "cart-service").await;
    let mut request = Request::new(WatchRequest::default());
    let bearer = format!("Bearer {}", token.unwrap().access_token);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", bearer.parse().unwrap());
    let refused = stranger.watch(request).await;
    check_refused(refused, Code::Unauthenticated, "WORKLOAD_UNAUTHENTICATED");
    auth.stop().await;
}

async fn metric(auth: &Auth, sample: &str) -> u64 {
    let body = get(auth.operations, "/metrics", &[]).await.body;
    let text = String::from_utf8(body).unwrap();
    let start = format!("latchkey_{sample}{{program=\"auth-service\"");
    let line = text.lines().find(|line| line.starts_with(&start));
    line.map_or(0, |line| {
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64
    })
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_dropped_and_others_notice_nothing() {
    let auth = Auth::start().await;
    let narrow = Endpoint::from_shared(format!("http://{}", auth.grpc)).unwrap();
    let narrow = narrow.initial_stream_window_size(Some(256)).connect_lazy();
    let mut client = RevocationServiceClient::new(auth.signed_over("cart-service", narrow));
    let mut slow = client
        .watch(WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    let mut quick = Feed::open(&auth, "", 0).await;
    let mut operator = auth.clients("latchkey").operator;
    let mut revoked = 0;
    while metric(&auth, "revocation_watchers_dropped_total").await == 0 {
        assert!(revoked < 5000, "it was never dropped");
        for _ in 0..50 {
            let subject = format!("gst_{}", uuid::Uuid::from_u128(revoked));
            let request = RevokeSubjectRequest { subject };
            operator.revoke_subject(request).await.unwrap();
            revoked += 1;
            quick.entries(1).await;
        }
    }
    assert_eq!(metric(&auth, "revocation_watchers").await, 1);
    let end = loop {
        if let Err(status) = slow.message().await {
            break status;
        }
    };
    check_refused::<()>(Err(end), Code::ResourceExhausted, "WATCHER_TOO_SLOW");
    let appended = metric(&auth, "revocations_appended_total").await;
    assert_eq!(u128::from(appended), revoked);
    auth.stop().await;
}

#[tokio::test]
async fn a_thousand_watchers_hear_of_a_logout() {
    let auth = Auth::start().await;
    let mut client = RevocationServiceClient::new(auth.signed("cart-service"));
    let mut feeds = Vec::new();
    for _ in 0..1000 {
        let stream = client.watch(WatchRequest::default()).await.unwrap();
        feeds.push(Feed::begin(stream.into_inner()).await);
    }
    assert_eq!(metric(&auth, "revocation_watchers").await, 1000);
    let ended = ended_guest(&mut auth.gateway()).await;
    for feed in &mut feeds {
        assert_eq!(feed.ended_sessions(1).await, [ended.as_str()]);
    }
    drop(feeds);
    auth.stop().await;
}

#[tokio::test]
async fn another_instance_tells_what_this_one_appends() {
    let auth = Auth::start().await;
    let (listeners, stop) = (free_ports().await, CancellationToken::new());
    let address = format!("http://{}", listeners.grpc.local_addr().unwrap());
    let clock: Arc<dyn Clock> = Arc::new(auth.home.clock.clone());
    let second = serve(auth.home.config(), listeners, clock, stop.clone());
    let second = tokio::spawn(second);
    let channel = connect(&address, ConnectOptions::default()).unwrap();
    let channel = auth.signed_over("cart-service", channel);
    let mut client = RevocationServiceClient::new(channel);
    let stream = client.watch(WatchRequest::default()).await.unwrap();
    let mut feed = Feed::begin(stream.into_inner()).await;
    let ended = ended_guest(&mut auth.gateway()).await;
    assert_eq!(feed.ended_sessions(1).await, [ended]);
    stop.cancel();
    second.await.unwrap().unwrap();
    auth.stop().await;
}

/// Ready, or not, within a second or two.
async fn becomes(auth: &Auth, status: u16) {
    let ready = async {
        while get(auth.operations, "/readyz", &[]).await.status != status {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_read_gives_no_heartbeat() {
    let auth = Auth::start().await;
    let mut feed = Feed::open(&auth, "", 0).await;
    feed.heartbeat().await;
    let mut other = other_program(&auth).await;
    sqlx::query("ALTER TABLE revocation_log RENAME TO lost")
        .execute(&mut other)
        .await
        .unwrap();
    becomes(&auth, 503).await;
    let refused = watch_as(&auth, "cart-service", "", 0).await;
    assert!(refused.is_err(), "it cannot say where the log ends");
    sqlx::query("ALTER TABLE lost RENAME TO revocation_log")
        .execute(&mut other)
        .await
        .unwrap();
    other.close().await.unwrap();
    becomes(&auth, 200).await;
    assert_eq!(feed.heartbeat().await, 0);
    auth.stop().await;
}
