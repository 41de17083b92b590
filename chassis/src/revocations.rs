//! A program's follower of the revocation feed, wired up: the channel to the auth
//! service, metrics, and a readiness gate that is closed while nothing is known.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use token_verifier::{
    Clock, Feed, FeedState, FollowOptions, GrpcFeed, Keys, OnStale, OnStaleError, Revocations,
};
use tonic::transport::Channel;
use tower::Layer as _;

use crate::grpc::{ConnectError, ConnectOptions, connect};
use crate::metrics::{DURATION_BUCKETS, Metrics};
use crate::readiness::{Gate, Readiness};
use crate::settings::Section;
use crate::vital::Vital;
use crate::workload::{
    AssertionLayer, AssertionSigner, AttachAssertion, KeyFileError, WorkloadKey,
};

/// Where the auth service's gRPC is in development.
const DEFAULT_AUTH_ADDRESS: &str = "http://localhost:50051";
/// Whom the assertions are for.
const AUTH_SERVICE: &str = "auth-service";
/// Three heartbeats.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);
/// A heartbeat comes every second. With less than two of them, any delay would count
/// as an outage.
const LEAST_HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest life of a token: whoever is later than this has no bound of their own.
const MOST_HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(300);

/// What a follower does when the feed falls silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleSettings {
    /// Whether tokens are then believed until they expire, or refused.
    pub on_stale: OnStale,
    /// How long the feed may be silent before that.
    pub heartbeat_timeout: Duration,
}

impl Default for StaleSettings {
    fn default() -> Self {
        Self {
            on_stale: OnStale::UntilExpiry,
            heartbeat_timeout: HEARTBEAT_TIMEOUT,
        }
    }
}

impl StaleSettings {
    /// Reads `on_stale` and `heartbeat_timeout`.
    #[must_use]
    pub fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let word = section.value("on_stale", default.on_stale.to_string());
        let on_stale = word.parse().unwrap_or_else(|error: OnStaleError| {
            section.problem("on_stale", error);
            default.on_stale
        });
        let heartbeat_timeout = section.duration("heartbeat_timeout", default.heartbeat_timeout);
        let allowed = LEAST_HEARTBEAT_TIMEOUT..=MOST_HEARTBEAT_TIMEOUT;
        if !allowed.contains(&heartbeat_timeout) {
            let (least, most) = (allowed.start().as_secs(), allowed.end().as_secs());
            section.problem(
                "heartbeat_timeout",
                format!("is not between {least} s and {most} s"),
            );
        }
        Self {
            on_stale,
            heartbeat_timeout,
        }
    }
}

/// The section `[tokens.revocations]` of a service.
#[derive(Clone, Debug)]
pub struct RevocationSettings {
    /// The auth service's gRPC address.
    pub auth_address: String,
    /// Who this program is to the auth service, which must let it `watch`.
    pub workload_name: String,
    /// The private key that proves it. Made if absent.
    pub workload_key_file: PathBuf,
    /// What happens when the feed falls silent.
    pub stale: StaleSettings,
}

/// Why the feed cannot be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum RevocationsError {
    /// The workload key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The auth service's address.
    #[error("revocations cannot be watched")]
    Address(#[from] ConnectError),
}

impl RevocationSettings {
    /// Settings from values, the others at their defaults.
    #[must_use]
    pub fn new(auth_address: &str, workload_name: &str, workload_key_file: PathBuf) -> Self {
        Self {
            auth_address: auth_address.to_owned(),
            workload_name: workload_name.to_owned(),
            workload_key_file,
            stale: StaleSettings::default(),
        }
    }

    /// Reads `auth_address`, `workload_name` (the service's audience, unless set),
    /// `workload_key_file` (`<audience>.pem` where the program starts), `on_stale` and
    /// `heartbeat_timeout`.
    pub fn read(section: &mut Section<'_>, audience: &str) -> Self {
        let auth_address = section.value("auth_address", DEFAULT_AUTH_ADDRESS.to_owned());
        if let Err(error) = crate::grpc::check_address(&auth_address) {
            section.problem("auth_address", error);
        }
        let workload_name = section.value("workload_name", audience.to_owned());
        if workload_name.is_empty() {
            section.problem("workload_name", "is empty");
        }
        let workload_key_file = section
            .path("workload_key_file")
            .unwrap_or_else(|| format!("{audience}.pem").into());
        Self {
            auth_address,
            workload_name,
            workload_key_file,
            stale: StaleSettings::read(section),
        }
    }

    /// The auth service's feed, watched as the workload of these settings.
    ///
    /// # Errors
    ///
    /// See [`RevocationsError`]. That nobody answers is no error here.
    pub fn feed(&self, clock: Arc<dyn Clock>) -> Result<SignedFeed, RevocationsError> {
        let key = WorkloadKey::load_or_create(&self.workload_key_file)?;
        let signer = AssertionSigner::new(&self.workload_name, key, AUTH_SERVICE, clock);
        Ok(feed(&self.auth_address, signer, &self.stale)?)
    }
}

/// The feed over a channel that signs.
pub type SignedFeed = GrpcFeed<AttachAssertion<Channel>>;

/// The feed of the auth service at `address`, watched as `signer`'s workload, over a
/// connection of its own: a gateway's busiest moment does not delay a revocation.
///
/// # Errors
///
/// See [`ConnectError`].
pub fn feed(
    address: &str,
    signer: AssertionSigner,
    stale: &StaleSettings,
) -> Result<SignedFeed, ConnectError> {
    let channel = connect(address, feed_options(stale))?;
    Ok(GrpcFeed::new(AssertionLayer::new(signer).layer(channel)))
}

/// A peer that vanished is noticed by an unanswered ping within the heartbeat timeout.
/// The request's timeout ends with the answer's head, so it cuts no stream.
fn feed_options(stale: &StaleSettings) -> ConnectOptions {
    let default = ConnectOptions::default();
    ConnectOptions {
        connect_timeout: default.connect_timeout.min(stale.heartbeat_timeout),
        request_timeout: stale.heartbeat_timeout,
        // Once for the ping to be sent and once for its answer to be missed.
        keep_alive: stale.heartbeat_timeout / 2,
        ..default
    }
}

/// Follows `feed` for as long as `vital` says. The keys that it announces go into `keys`. The gate
/// `revocations` of `readiness` opens with the first snapshot, and is closed again while
/// the feed is stale if tokens are refused then, or when the follower is lost.
#[must_use]
pub fn follow(
    feed: impl Feed,
    stale: &StaleSettings,
    keys: Option<Keys>,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
    readiness: &Readiness,
    vital: &Vital,
) -> Revocations {
    let gate = readiness.gate("revocations");
    let watched = Arc::new(Watched::register(metrics, gate, stale.on_stale));
    let mut options = watched
        .hooks(FollowOptions::default())
        .on_stale(stale.on_stale)
        .heartbeat_timeout(stale.heartbeat_timeout);
    if let Some(keys) = keys {
        options = options.keys(keys);
    }
    let (revocations, driver) = Revocations::follow(feed, options, clock);
    let live = "Revocations that still concern a living token";
    metrics.register("revocations_live", live, Live(revocations.clone()));
    vital.spawn("the follower of revocations", driver, move || {
        watched.lost()
    });
    revocations
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// What is seen of a follower from outside.
struct Watched {
    propagation: Histogram,
    resyncs: Family<ReasonLabel, Counter>,
    states: Family<StateLabel, Gauge>,
    gate: Gate,
    on_stale: OnStale,
}

impl Watched {
    fn register(metrics: &Metrics, gate: Gate, on_stale: OnStale) -> Self {
        let propagation = "From a revocation's commit at the auth service to its effect here";
        let resyncs = "Times that the feed was asked for again from where it was left, by reason";
        let states = "1 for the state that the follower of the revocation feed is in";
        let watched = Self {
            propagation: metrics.register(
                "revocation_propagation_seconds",
                propagation,
                Histogram::new(DURATION_BUCKETS),
            ),
            resyncs: metrics.register("revocation_feed_resyncs", resyncs, Family::default()),
            states: metrics.register("revocation_feed_state", states, Family::default()),
            gate,
            on_stale,
        };
        watched.show(FeedState::NoSnapshot);
        watched
    }

    fn hooks(self: &Arc<Self>, options: FollowOptions) -> FollowOptions {
        let watched = Arc::clone(self);
        let (propagation, resyncs) = (self.propagation.clone(), self.resyncs.clone());
        options
            .on_applied(move |after: Duration| propagation.observe(after.as_secs_f64()))
            .on_resync(move |reason: &'static str| {
                resyncs.get_or_create(&ReasonLabel { reason }).inc();
            })
            .on_state(move |state: FeedState| {
                watched.gate.set(is_open(state, watched.on_stale));
                watched.show(state);
            })
    }

    /// Nothing is heard any more, whatever was said last.
    fn lost(&self) {
        self.gate.set(false);
        self.show(FeedState::Stale);
    }

    fn show(&self, state: FeedState) {
        for other in FeedState::ALL {
            let label = StateLabel {
                state: other.as_str(),
            };
            self.states
                .get_or_create(&label)
                .set(i64::from(other == state));
        }
    }
}

fn is_open(state: FeedState, on_stale: OnStale) -> bool {
    match state {
        FeedState::NoSnapshot => false,
        FeedState::Following => true,
        FeedState::Stale => on_stale == OnStale::UntilExpiry,
    }
}

/// A gauge that is read when somebody looks.
#[derive(Clone, Debug)]
struct Live(Revocations);

impl EncodeMetric for Live {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let live = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        encoder.encode_gauge(&live)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

#[cfg(test)]
mod tests;
