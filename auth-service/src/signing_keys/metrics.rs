//! The keys as a dashboard sees them.

use chassis::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::rotation::KeyAge;
use crate::store::SigningKeyState;

/// Gauges of the keys. Clones are the same gauges.
#[derive(Clone, Debug, Default)]
pub struct KeyMetrics {
    keys: Family<StateLabel, Gauge>,
    age: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

impl KeyMetrics {
    /// Gauges that show in `metrics`.
    pub fn register(metrics: &Metrics) -> Self {
        let new = Self::default();
        metrics.register(
            "signing_keys",
            "Published signing keys by state",
            new.keys.clone(),
        );
        metrics.register(
            "signing_key_age_seconds",
            "How long the active signing key has been signing",
            new.age.clone(),
        );
        new
    }

    pub(super) fn show(&self, keys: &[KeyAge<'_>]) {
        let states = [
            (SigningKeyState::Upcoming, "upcoming"),
            (SigningKeyState::Active, "active"),
            (SigningKeyState::Retiring, "retiring"),
        ];
        for (state, label) in states {
            let count = keys.iter().filter(|key| key.state == state).count();
            let gauge = self.keys.get_or_create(&StateLabel { state: label });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let active = keys.iter().find(|key| key.state == SigningKeyState::Active);
        let age = active.map_or(0, |key| key.in_state_for.as_secs());
        self.age.set(i64::try_from(age).unwrap_or(i64::MAX));
    }
}
