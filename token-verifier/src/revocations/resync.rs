//! Why a stream of the feed is given up. The next one begins where this one was sure.

use tonic::Status;

/// Why to watch again. What was applied stays.
#[derive(Debug, thiserror::Error)]
pub enum Resync {
    /// The auth service cannot be reached, refused, or ended the stream.
    #[error("the feed failed")]
    Failed(#[source] Box<Status>),
    /// The stream ended in good order.
    #[error("the feed ended")]
    Ended,
    /// Nothing came for too long, not even a heartbeat.
    #[error("the feed fell silent")]
    Silent,
    /// What came was sent too long ago to prove anything, as after a long stop of this
    /// process or of the network.
    #[error("the feed is late")]
    Late,
    /// Something between what was applied and what came is missing.
    #[error("the feed has a gap: {applied} was applied, and then came {found}")]
    Gap {
        /// The last sequence number that was applied.
        applied: u64,
        /// The one after which the feed went on, or that it says is the last.
        found: u64,
    },
    /// Something came before the opening, or a second one.
    #[error("the feed did not begin with one opening")]
    Opening,
    /// A message that is none.
    #[error("the feed is malformed: {0}")]
    Malformed(&'static str),
    /// More live revocations than there may be.
    #[error("the feed has too many revocations")]
    TooMany,
}

impl Resync {
    /// Every word that [`reason`](Self::reason) can give, for metrics that want their
    /// labels before the first.
    pub const REASONS: &'static [&'static str] = &[
        "failed",
        "ended",
        "silent",
        "late",
        "gap",
        "opening",
        "malformed",
        "too_many",
    ];

    /// The stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Ended => "ended",
            Self::Silent => "silent",
            Self::Late => "late",
            Self::Gap { .. } => "gap",
            Self::Opening => "opening",
            Self::Malformed(_) => "malformed",
            Self::TooMany => "too_many",
        }
    }

    /// Whether somebody should look: the auth service is there, and says what it should not.
    pub(super) fn is_alarming(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Ended | Self::Silent | Self::Late => false,
            Self::Gap { .. } | Self::Opening | Self::Malformed(_) | Self::TooMany => true,
        }
    }
}
