use jiff::{SignedDuration, Timestamp};
use proto::auth::v1::{WatchRequest, WatchResponse};
use token_verifier::testing::TestFeed;
use token_verifier::{ManualClock, RevocationKeys};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::*;
use crate::settings::{self, Sources};

const SESSION: &str = "018f4e2a-7b1c-7d3e-8f40-0000000000a1";
/// For what happens within milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// A follower of a feed, with its own metrics and readiness.
struct Followed {
    feed: TestFeed,
    clock: ManualClock,
    metrics: Metrics,
    readiness: Readiness,
    revocations: Revocations,
    _shutdown: tokio_util::sync::DropGuard,
    _files: tempfile::TempDir,
}

impl Followed {
    async fn start(on_stale: OnStale) -> Self {
        let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap());
        let feed = TestFeed::start_cut(Arc::new(clock.clone())).await;
        let (metrics, readiness) = (Metrics::new("test"), Readiness::new());
        let files = tempfile::tempdir().unwrap();
        let key_file = files.path().join("workload.pem");
        let mut settings = RevocationSettings::new(&feed.address(), "cart-service", key_file);
        settings.stale.on_stale = on_stale;
        let shutdown = CancellationToken::new();
        let revocations = follow(
            settings.feed(Arc::new(clock.clone())).unwrap(),
            &settings.stale,
            None,
            Arc::new(clock.clone()),
            &metrics,
            &readiness,
            &Vital::new(shutdown.clone(), CancellationToken::new()),
        );
        Self {
            feed,
            clock,
            metrics,
            readiness,
            revocations,
            _shutdown: shutdown.drop_guard(),
            _files: files,
        }
    }

    /// Waits until the follower is in this state.
    async fn is(&self, expected: FeedState) {
        let mut states = self.revocations.changed();
        let wait = states.wait_for(|state| *state == expected);
        let in_time = tokio::time::timeout(LIMIT, wait).await;
        let reached = in_time.unwrap_or_else(|_| panic!("waited {LIMIT:?} for {expected:?}"));
        reached.expect("the follower lives");
    }

    #[track_caller]
    fn shows(&self, line: &str) {
        let text = self.metrics.encode();
        assert!(text.contains(line), "{line} in\n{text}");
    }

    fn keys_of(&self, session: &str) -> RevocationKeys {
        RevocationKeys::new(Some(session), "usr_a", "kid", self.clock.now())
    }
}

#[tokio::test]
async fn readiness_waits_for_the_first_snapshot() {
    let followed = Followed::start(OnStale::UntilExpiry).await;
    assert_eq!(followed.readiness.not_ready_names(), ["revocations"]);
    followed.shows("feed_state{program=\"test\",state=\"no_snapshot\"} 1");
    followed.feed.heal();
    let ready = tokio::time::timeout(LIMIT, followed.readiness.ready()).await;
    ready.expect("the feed has healed");
    followed.shows("feed_state{program=\"test\",state=\"no_snapshot\"} 0");
    followed.shows("feed_state{program=\"test\",state=\"following\"} 1");
}

#[tokio::test]
async fn what_is_revoked_is_counted_and_timed() {
    let followed = Followed::start(OnStale::UntilExpiry).await;
    followed.feed.heal();
    followed.is(FeedState::Following).await;
    let keys = followed.keys_of(SESSION);
    assert!(followed.revocations.check(&keys).is_ok());
    let mut subscription = followed.revocations.subscribe(keys);

    followed.feed.revoke_session(SESSION);
    let ended = tokio::time::timeout(LIMIT, subscription.ended()).await;
    ended.expect("a revocation arrives at once");
    followed.shows("revocations_live{program=\"test\"} 1");
    followed.shows("revocation_propagation_seconds_count{program=\"test\"} 1");
}

#[tokio::test]
async fn a_silent_feed_closes_readiness_only_where_tokens_are_refused() {
    for (on_stale, closed) in [
        (OnStale::UntilExpiry, &[][..]),
        (OnStale::Refuse, &["revocations"][..]),
    ] {
        let followed = Followed::start(on_stale).await;
        followed.feed.heal();
        followed.is(FeedState::Following).await;
        followed.feed.stop_heartbeats();
        followed.clock.advance(SignedDuration::from_secs(4));
        followed.is(FeedState::Stale).await;
        followed.shows("feed_state{program=\"test\",state=\"stale\"} 1");
        assert_eq!(followed.readiness.not_ready_names(), closed, "{on_stale}");
        followed.feed.heal();
        followed.is(FeedState::Following).await;
        assert!(followed.readiness.is_ready());
    }
}

/// A feed with a bug.
struct Buggy {
    works: bool,
}

impl Feed for Buggy {
    async fn watch(
        &mut self,
        _request: WatchRequest,
    ) -> Result<impl Stream<Item = Result<WatchResponse, Status>> + Send + Unpin, Status> {
        assert!(self.works, "a bug");
        Ok(tokio_stream::pending())
    }
}

#[tokio::test]
async fn a_follower_that_is_lost_stops_the_program() {
    let (metrics, readiness) = (Metrics::new("test"), Readiness::new());
    let (until, program) = (CancellationToken::new(), CancellationToken::new());
    let vital = Vital::new(until, program.clone());
    let stale = StaleSettings::default();
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let feed = Buggy { works: false };
    let _revocations = follow(feed, &stale, None, clock, &metrics, &readiness, &vital);
    let stopped = tokio::time::timeout(LIMIT, program.cancelled()).await;
    stopped.expect("a lost follower stops the program");
    assert_eq!(readiness.not_ready_names(), ["revocations"]);
    let text = metrics.encode();
    let line = "feed_state{program=\"test\",state=\"stale\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(vital.check().is_err());
}

fn read(text: &str) -> Result<RevocationSettings, String> {
    let sources = Sources::from_toml("c.toml", text);
    let read = |section: &mut Section<'_>| Some(RevocationSettings::read(section, "cart-service"));
    settings::read(sources, read).map_err(|problems| problems.to_string())
}

#[test]
fn settings_are_complete_by_default() {
    let settings = read("").unwrap();
    assert_eq!(settings.auth_address, "http://localhost:50051");
    assert_eq!(settings.workload_name, "cart-service");
    assert_eq!(
        settings.workload_key_file,
        PathBuf::from("cart-service.pem")
    );
    assert_eq!(settings.stale, StaleSettings::default());
}

#[test]
fn settings_refuse_what_cannot_work() {
    let problems = read(
        "auth_address = 'https://auth'
         workload_name = ''
         workload_key_file = ''
         on_stale = 'hope'
         heartbeat_timeout = '1999ms'",
    )
    .unwrap_err();
    for expected in [
        "auth_address: https://auth is not an address",
        "workload_name: is empty (c.toml:2)",
        "workload_key_file: is empty (c.toml:3)",
        "on_stale: must be \"until_expiry\" or \"refuse\" (c.toml:4)",
        "heartbeat_timeout: is not between 2 s and 300 s (c.toml:5)",
    ] {
        assert!(problems.contains(expected), "{expected} in\n{problems}");
    }
    assert_eq!(problems.lines().count(), 5, "{problems}");
    assert!(read("heartbeat_timeout = '301s'").is_err());
    assert!(read("heartbeat_timeout = '300s'\non_stale = 'refuse'").is_ok());
}

#[test]
fn a_vanished_peer_is_noticed_within_the_heartbeat_timeout() {
    let stale = StaleSettings {
        heartbeat_timeout: Duration::from_secs(2),
        ..StaleSettings::default()
    };
    let options = feed_options(&stale);
    assert!(options.keep_alive * 2 <= stale.heartbeat_timeout);
    assert!(options.connect_timeout <= stale.heartbeat_timeout);
}
