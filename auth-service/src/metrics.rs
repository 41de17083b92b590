//! What the auth service counts beyond what every server does.

use chassis::metrics::Metrics;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::password::{HashingPool, HashingStats};
use crate::revocations::RevocationKind;

/// Counters of one auth service. Cheap to clone; clones are the same counters.
#[derive(Clone, Default)]
pub struct AuthMetrics {
    assertions: Family<ResultLabel, Counter>,
    exchanges: Family<ResultLabel, Counter>,
    logins: Family<ResultLabel, Counter>,
    sessions: Family<KindLabel, Counter>,
    purged: Family<KindLabel, Counter>,
    revocations: Family<KindLabel, Counter>,
    watchers: Gauge,
    watchers_dropped: Counter,
}

/// Counts a watcher of the revocation log for as long as it lives.
pub struct WatcherCount(Gauge);

impl Drop for WatcherCount {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A stable word from a fixed set: nothing that a client chose becomes a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

impl AuthMetrics {
    /// Counters that show in `metrics`.
    pub fn register(metrics: &Metrics) -> Self {
        let new = Self::default();
        let show = |name, help, family: &Family<ResultLabel, Counter>| {
            metrics.register(name, help, family.clone());
        };
        show(
            "auth_assertions",
            "Client assertions by what became of them",
            &new.assertions,
        );
        show(
            "auth_exchanges",
            "Exchanges of a session for a token, by result",
            &new.exchanges,
        );
        show("auth_logins", "Sign-ins by result", &new.logins);
        let show = |name, help, family: &Family<KindLabel, Counter>| {
            metrics.register(name, help, family.clone());
        };
        show(
            "auth_sessions_created",
            "Sessions made, by kind",
            &new.sessions,
        );
        show(
            "auth_rows_purged",
            "Rows dropped because they had expired, by kind",
            &new.purged,
        );
        show(
            "revocations_appended",
            "Entries that this instance saw coming into the revocation log, by kind",
            &new.revocations,
        );
        metrics.register(
            "revocation_watchers",
            "Callers that follow the revocation log",
            new.watchers.clone(),
        );
        metrics.register(
            "revocation_watchers_dropped",
            "Callers that followed the revocation log too slowly",
            new.watchers_dropped.clone(),
        );
        new
    }

    /// A client assertion was looked at.
    pub fn assertion(&self, result: &'static str) {
        self.assertions.get_or_create(&ResultLabel { result }).inc();
    }

    /// A session was exchanged, or was not.
    pub fn exchange(&self, result: &'static str) {
        self.exchanges.get_or_create(&ResultLabel { result }).inc();
    }

    /// Somebody signed in, or did not.
    pub fn login(&self, result: &'static str) {
        self.logins.get_or_create(&ResultLabel { result }).inc();
    }

    /// A session was made.
    pub fn session_created(&self, kind: &'static str) {
        self.sessions.get_or_create(&KindLabel { kind }).inc();
    }

    /// An entry came into the revocation log.
    pub fn revocation_appended(&self, kind: RevocationKind) {
        let kind = kind.as_str();
        self.revocations.get_or_create(&KindLabel { kind }).inc();
    }

    /// Somebody follows the revocation log until what is returned is dropped.
    pub fn revocation_watcher(&self) -> WatcherCount {
        self.watchers.inc();
        WatcherCount(self.watchers.clone())
    }

    /// A watcher of the revocation log was too slow.
    pub fn revocation_watcher_dropped(&self) {
        self.watchers_dropped.inc();
    }

    /// Expired rows were dropped.
    pub fn purged(&self, kind: &'static str, count: u64) {
        self.purged.get_or_create(&KindLabel { kind }).inc_by(count);
    }
}

/// What the hashing pool is doing at the moment somebody looks.
#[derive(Clone)]
pub(crate) struct HashingMetric {
    pool: HashingPool,
    read: fn(HashingStats) -> u64,
    metric_type: MetricType,
}

impl HashingMetric {
    /// Shows a pool in `metrics`.
    pub(crate) fn register(metrics: &Metrics, pool: &HashingPool) {
        let show = |name, help, metric_type, read| {
            metrics.register(
                name,
                help,
                Self {
                    pool: pool.clone(),
                    read,
                    metric_type,
                },
            );
        };
        let gauge = MetricType::Gauge;
        show(
            "auth_hashing_waiting",
            "Passwords waiting to be hashed",
            gauge,
            |stats| stats.waiting as u64,
        );
        show(
            "auth_hashing_running",
            "Passwords being hashed",
            gauge,
            |stats| stats.running as u64,
        );
        let counter = MetricType::Counter;
        show(
            "auth_hashing_shed",
            "Passwords turned away",
            counter,
            |stats| stats.shed,
        );
    }
}

impl std::fmt::Debug for HashingMetric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashingMetric")
    }
}

impl EncodeMetric for HashingMetric {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let value = (self.read)(self.pool.stats());
        match self.metric_type {
            MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
            _ => encoder.encode_gauge(&value),
        }
    }

    fn metric_type(&self) -> MetricType {
        self.metric_type
    }
}
