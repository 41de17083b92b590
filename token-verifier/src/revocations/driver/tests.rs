//! The driver at feeds of all kinds, under tokio's paused time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use proto::auth::v1::WatchRequest;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::Keys;
use crate::clock::Clock;
use crate::revocations::fixtures::{
    LOG, START_S, at_ms, heartbeat, key_set, opening, session_id, sessions, token,
};
use crate::revocations::{FeedState, FollowOptions, OnStale, RevocationError, Revocations};
use crate::testing::TestIssuer;

/// Tokio's paused time as both clocks.
struct TokioClock {
    start: Instant,
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(START_S).unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

type Answer = Result<mpsc::Receiver<Result<WatchResponse, Status>>, Status>;

/// Gives its answers in turn, and then none: it stays silent.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<(WatchRequest, Instant)>>>,
}

impl Feed for Script {
    async fn watch(
        &mut self,
        request: WatchRequest,
    ) -> Result<impl Stream<Item = Result<WatchResponse, Status>> + Send + Unpin, Status> {
        self.requests
            .lock()
            .unwrap()
            .push((request, Instant::now()));
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => answer.map(ReceiverStream::new),
            None => std::future::pending().await,
        }
    }
}

type Wire = mpsc::Sender<Result<WatchResponse, Status>>;

impl Script {
    fn accept(&self) -> Wire {
        let (wire, messages) = mpsc::channel(64);
        self.answers.lock().unwrap().push_back(Ok(messages));
        wire
    }

    fn refuse(&self) {
        let status = Status::unavailable("away");
        self.answers.lock().unwrap().push_back(Err(status));
    }

    fn requests(&self) -> Vec<(String, u64)> {
        let requests = self.requests.lock().unwrap();
        let asked = requests.iter();
        asked
            .map(|(request, _)| (request.log_id.clone(), request.after_seq))
            .collect()
    }
}

struct Stage {
    script: Script,
    revocations: Revocations,
    start: Instant,
    resyncs: Arc<Mutex<Vec<&'static str>>>,
    applied: Arc<Mutex<Vec<Duration>>>,
}

impl Stage {
    fn new(options: FollowOptions) -> Self {
        let script = Script::default();
        let start = Instant::now();
        let (resyncs, applied) = (
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let (note_resync, note_applied) = (Arc::clone(&resyncs), Arc::clone(&applied));
        let options = options
            .on_resync(move |reason| note_resync.lock().unwrap().push(reason))
            .on_applied(move |took| note_applied.lock().unwrap().push(took));
        let clock = Arc::new(TokioClock { start });
        let (revocations, driver) = Revocations::follow(script.clone(), options, clock);
        tokio::spawn(driver);
        Self {
            script,
            revocations,
            start,
            resyncs,
            applied,
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    async fn opens(&self, wire: &Wire, after: u64, head: u64) {
        self.settle().await;
        send(wire, opening(LOG, after, head, self.now())).await;
        self.settle().await;
    }

    /// Lets the driver take in what was sent.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn becomes(&self, state: FeedState) {
        let mut changed = self.revocations.changed();
        changed.wait_for(|now| *now == state).await.unwrap();
    }
}

async fn send(wire: &Wire, message: WatchResponse) {
    wire.send(Ok(message)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn follows_a_feed() {
    let stage = Stage::new(FollowOptions::default());
    assert!(!stage.revocations.is_ready());
    let wire = stage.script.accept();
    stage.opens(&wire, 0, 1).await;
    assert_eq!(
        stage.revocations.check(&token(9)),
        Err(RevocationError::NoSnapshot)
    );
    send(&wire, sessions(0, 1)).await;
    stage.becomes(FeedState::Following).await;
    assert_eq!(
        stage.revocations.check(&token(1)),
        Err(RevocationError::Revoked)
    );
    assert_eq!(stage.revocations.check(&token(2)), Ok(()));
    assert!(
        stage.applied.lock().unwrap().is_empty(),
        "a snapshot is no news"
    );

    send(&wire, sessions(1, 2)).await;
    stage.settle().await;
    assert_eq!(
        stage.revocations.check(&token(2)),
        Err(RevocationError::Revoked)
    );
    let applied = stage.applied.lock().unwrap();
    assert_eq!(applied.len(), 1);
    assert!(applied[0] < at_ms(20), "{applied:?}");
}

#[tokio::test(start_paused = true)]
async fn goes_on_where_a_stream_broke_off_and_soon() {
    let stage = Stage::new(FollowOptions::default());
    let first = stage.script.accept();
    let second = stage.script.accept();
    stage.opens(&first, 0, 2).await;
    send(&first, sessions(0, 2)).await;
    stage.settle().await;
    let broke_off_at = Instant::now();
    drop(first);
    tokio::time::sleep(FIRST_PAUSE + at_ms(5)).await;
    assert_eq!(
        stage.script.requests(),
        [(String::new(), 0), (LOG.to_owned(), 2)]
    );
    let again_at = stage.script.requests.lock().unwrap()[1].1;
    assert!(again_at - broke_off_at <= FIRST_PAUSE);
    stage.opens(&second, 2, 2).await;
    assert_eq!(*stage.resyncs.lock().unwrap(), ["ended"]);
    assert_eq!(stage.revocations.state(), FeedState::Following);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_away_is_asked_about_once_a_second_and_does_no_harm() {
    let stage = Stage::new(FollowOptions::default());
    for _ in 0..1_000 {
        stage.script.refuse();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = stage.script.requests().len();
    // Full jitter: half of the longest pause on average.
    assert!((60..=240).contains(&asked), "{asked}");
    assert_eq!(stage.revocations.state(), FeedState::NoSnapshot);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_ends_every_stream_at_once_is_not_asked_all_the_time() {
    let stage = Stage::new(FollowOptions::default());
    for _ in 0..1_000 {
        drop(stage.script.accept());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = stage.script.requests().len();
    assert!((60..=240).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_opens_well_and_then_talks_nonsense_is_not_asked_all_the_time() {
    let stage = Stage::new(FollowOptions::default());
    for _ in 0..1_000 {
        let wire = stage.script.accept();
        send(&wire, opening(LOG, 0, 0, at_ms(0))).await;
        send(&wire, sessions(7, 9)).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = stage.script.requests().len();
    assert!((60..=240).contains(&asked), "{asked}");
    assert!(
        stage
            .resyncs
            .lock()
            .unwrap()
            .iter()
            .all(|reason| *reason == "gap")
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_makes_stale_in_time_and_is_left() {
    let stage = Stage::new(FollowOptions::default().on_stale(OnStale::Refuse));
    let wire = stage.script.accept();
    stage.opens(&wire, 0, 0).await;
    assert_eq!(stage.revocations.check(&token(1)), Ok(()));
    stage.becomes(FeedState::Stale).await;
    assert!(stage.now() < at_ms(3_300), "{:?}", stage.now());
    assert_eq!(
        stage.revocations.check(&token(1)),
        Err(RevocationError::Stale)
    );
    assert!(stage.revocations.is_ready());
    let second = stage.script.accept();
    tokio::time::sleep(at_ms(100)).await;
    assert_eq!(*stage.resyncs.lock().unwrap(), ["silent"]);
    stage.opens(&second, 0, 0).await;
    assert_eq!(stage.revocations.check(&token(1)), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let stage = Stage::new(FollowOptions::default());
    tokio::time::sleep(CATCH_UP_PATIENCE + LONGEST_PAUSE).await;
    assert_eq!(*stage.resyncs.lock().unwrap(), ["silent"]);
    assert_eq!(stage.script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_does_not_go_on_is_left_whatever_else_comes() {
    let stage = Stage::new(FollowOptions::default());
    let wire = stage.script.accept();
    stage.opens(&wire, 0, 20).await;
    for seq in 0..15 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        send(&wire, sessions(seq, seq + 1)).await;
    }
    for _ in 0..9 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        send(&wire, heartbeat(20, stage.now())).await;
    }
    stage.settle().await;
    assert!(stage.resyncs.lock().unwrap().is_empty());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*stage.resyncs.lock().unwrap(), ["silent"]);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_it_following() {
    let stage = Stage::new(FollowOptions::default());
    let wire = stage.script.accept();
    stage.opens(&wire, 0, 0).await;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        send(&wire, heartbeat(0, stage.now())).await;
        assert_eq!(stage.revocations.state(), FeedState::Following);
    }
    assert!(stage.resyncs.lock().unwrap().is_empty());
    let issuer_now = stage.revocations.issuer_now().unwrap();
    assert_eq!(issuer_now.as_second(), START_S + 30);
}

/// A JWKS document that no verifier takes.
const NO_KEYS: &str = r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#;

#[tokio::test(start_paused = true)]
async fn keys_come_over_the_feed_and_bad_ones_change_nothing() {
    let old = TestIssuer::new("http://issuer");
    let new = TestIssuer::new("http://issuer");
    let keys = Keys::fixed(old.key_set());
    let outcomes = Arc::<Mutex<Vec<_>>>::default();
    let note = Arc::clone(&outcomes);
    let options = FollowOptions::default()
        .keys(keys.clone())
        .on_key_set(move |outcome| note.lock().unwrap().push(outcome.is_ok()));
    let stage = Stage::new(options);
    let wire = stage.script.accept();
    stage.opens(&wire, 0, 0).await;
    send(&wire, key_set(&new.jwks_json())).await;
    stage.settle().await;
    assert!(keys.find(new.kid()).is_ok());
    assert!(keys.find(old.kid()).is_err());
    send(&wire, key_set(NO_KEYS)).await;
    send(&wire, sessions(0, 1)).await;
    stage.settle().await;
    assert!(keys.find(new.kid()).is_ok());
    let verdict = stage.revocations.check(&token(1));
    assert_eq!(verdict, Err(RevocationError::Revoked));
    send(&wire, key_set(&old.jwks_json())).await;
    stage.settle().await;
    assert!(keys.find(old.kid()).is_ok());
    assert_eq!(*outcomes.lock().unwrap(), [true, false, true]);
    assert!(stage.resyncs.lock().unwrap().is_empty());
}

// An auth service that always announces keys which this verifier refuses must not, by that,
// end revocation there.
#[tokio::test(start_paused = true)]
async fn bad_keys_on_every_stream_keep_no_revocation_away() {
    let keys = Keys::fixed(TestIssuer::new("http://issuer").key_set());
    let stage = Stage::new(FollowOptions::default().keys(keys));
    let mut wire = stage.script.accept();
    for _ in 0..3 {
        stage.opens(&wire, 0, 0).await;
        send(&wire, key_set(NO_KEYS)).await;
        stage.settle().await;
        assert_eq!(stage.revocations.state(), FeedState::Following);
        wire = stage.script.accept();
        tokio::time::sleep(LONGEST_PAUSE).await;
    }
    send(&wire, opening(LOG, 0, 1, stage.now())).await;
    send(&wire, key_set(NO_KEYS)).await;
    send(&wire, sessions(0, 1)).await;
    stage.settle().await;
    let verdict = stage.revocations.check(&token(1));
    assert_eq!(verdict, Err(RevocationError::Revoked));
    assert_eq!(*stage.resyncs.lock().unwrap(), ["ended"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_confirms_only_the_keys_that_it_announced() {
    let lifetime = Duration::from_secs(30);
    let keys = Keys::sharing(Arc::new(crate::keys::Shared::lasting(lifetime)));
    let stage = Stage::new(FollowOptions::default().keys(keys.clone()));
    let first = stage.script.accept();
    stage.opens(&first, 0, 0).await;
    let issuer = TestIssuer::new("http://issuer");
    send(&first, key_set(&issuer.jwks_json())).await;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        send(&first, heartbeat(0, stage.now())).await;
    }
    stage.settle().await;
    assert!(keys.is_ready());
    // From here on, nobody says anything of keys.
    let second = stage.script.accept();
    drop(first);
    tokio::time::sleep(LONGEST_PAUSE).await;
    stage.opens(&second, 0, 0).await;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        send(&second, heartbeat(0, stage.now())).await;
    }
    stage.settle().await;
    assert_eq!(stage.revocations.state(), FeedState::Following);
    assert!(!keys.is_ready());
}

#[tokio::test(start_paused = true)]
async fn expired_entries_go() {
    let stage = Stage::new(FollowOptions::default());
    let wire = stage.script.accept();
    stage.opens(&wire, 0, 3).await;
    send(&wire, sessions(0, 3)).await;
    stage.settle().await;
    stage.revocations.note_session_ended(&session_id(9));
    assert_eq!(stage.revocations.len(), 4);
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        send(&wire, heartbeat(3, stage.now())).await;
    }
    assert_eq!(stage.revocations.len(), 0);
}
