//! What happened to connections.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;

/// Counters of a listener. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    open: Gauge,
    refused: Family<Refusal, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: &'static str,
}

impl Counters {
    /// Counters that `metrics` shows as `<listener>_connections…`.
    #[must_use]
    pub fn register(metrics: &Metrics, listener: &str) -> Self {
        let name = |suffix| format!("{listener}_connections_{suffix}");
        let counters = Self::default();
        metrics.register(&name("open"), "Open connections", counters.open.clone());
        metrics.register(
            &name("refused"),
            "Connections that were not accepted or were closed at once, by reason",
            counters.refused.clone(),
        );
        counters
    }

    pub(super) fn opened(&self) -> Open {
        self.open.inc();
        Open(self.open.clone())
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Refusal { reason }).inc();
    }
}

/// Counts one open connection while it lives, also when its task panics.
#[derive(Debug)]
pub(super) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
