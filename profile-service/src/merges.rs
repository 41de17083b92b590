//! Counts and logs the guests' profiles that were taken over.

use prometheus_client::metrics::counter::Counter;

use crate::owner::Owner;

/// A counter of merges. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merges(Counter);

impl Merges {
    /// Makes the counter and shows it on the operations port.
    pub(crate) fn register(metrics: &chassis::metrics::Metrics) -> Self {
        let help = "Guests' profiles that became part of a person's";
        Self(metrics.register("profile_guest_merges", help, Counter::default()))
    }

    /// One more.
    pub(crate) fn count(&self, owner: &Owner) {
        self.0.inc();
        tracing::info!(
            subject = owner.subject().as_str(),
            guest = owner.guest().map(|guest| guest.as_str()),
            "took over a guest's profile"
        );
    }
}
