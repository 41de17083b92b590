//! What the exchange counts.

use chassis::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;

/// Counters of the exchange.
#[derive(Clone, Default)]
pub(crate) struct ExchangeMetrics {
    pub(super) hits: Counter,
    pub(super) misses: Counter,
    pub(super) joined: Counter,
    pub(super) renewals: Counter,
    pub(super) failures: Counter,
    pub(super) revoked: Counter,
}

impl ExchangeMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counters = Self::default();
        for (name, help, counter) in [
            ("exchange_hits", "Tokens found in the cache", &counters.hits),
            (
                "exchange_misses",
                "Exchanges that a request had to wait for",
                &counters.misses,
            ),
            (
                "exchange_joined",
                "Requests that shared another's exchange",
                &counters.joined,
            ),
            (
                "exchange_renewals",
                "Exchanges started ahead of need",
                &counters.renewals,
            ),
            (
                "exchange_failures",
                "Exchanges without a token",
                &counters.failures,
            ),
            (
                "exchange_revoked",
                "Cached tokens that were found revoked and not used",
                &counters.revoked,
            ),
        ] {
            metrics.register(name, help, counter.clone());
        }
        counters
    }
}
