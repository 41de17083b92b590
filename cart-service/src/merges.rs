//! Counts and logs the guests' carts that were taken over.

use prometheus_client::metrics::counter::Counter;

use crate::{cart::Leftover, owner::Owner};

/// Counters of merges. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merges {
    merged: Counter,
    pieces_left_out: Counter,
}

impl Merges {
    /// Makes the counters and shows them on the operations port.
    pub(crate) fn register(metrics: &chassis::metrics::Metrics) -> Self {
        let merges = Self::default();
        metrics.register(
            "cart_guest_merges",
            "Guests' carts that became part of a person's",
            merges.merged.clone(),
        );
        metrics.register(
            "cart_guest_merge_pieces_left_out",
            "Pieces that a merge left out, past 99 a line or 100 lines",
            merges.pieces_left_out.clone(),
        );
        merges
    }

    /// One more.
    pub(crate) fn count(&self, owner: &Owner, leftover: Leftover) {
        self.merged.inc();
        self.pieces_left_out.inc_by(leftover.pieces.into());
        tracing::info!(
            subject = owner.subject().as_str(),
            guest = owner.guest().map(|guest| guest.as_str()),
            merge.lines_left_out = leftover.lines,
            merge.pieces_left_out = leftover.pieces,
            "took over a guest's cart"
        );
    }
}
