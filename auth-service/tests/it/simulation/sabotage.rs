//! Mistakes that the simulation must find. Each is made between the log and a follower,
//! so that what is simulated stays what is shipped.

use proto::auth::v1::{WatchResponse, watch_response::Event};

use super::rng::Rng;

/// A deliberate mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// Now and then an entry is lost, and the numbers say that none was.
    SkippedEntry,
    /// A gap in the numbers is closed instead of reported.
    GapIgnored,
    /// The tail begins a second after the snapshot was read.
    SnapshotHasHole,
    /// A snapshot is in force with its first message instead of its last.
    SwappedEarly,
    /// An instance that cannot read the log sends heartbeats all the same.
    HeartbeatUnread,
    /// A heartbeat counts though it tells of entries that never came.
    HeartbeatBelieved,
    /// Times are judged by the verifier's own wall clock.
    IssuerTimeIgnored,
    /// Entries go while tokens that they concern are alive.
    DroppedEarly,
}

impl Sabotage {
    pub(super) const ALL: [Self; 8] = [
        Self::SkippedEntry,
        Self::GapIgnored,
        Self::SnapshotHasHole,
        Self::SwappedEarly,
        Self::HeartbeatUnread,
        Self::HeartbeatBelieved,
        Self::IssuerTimeIgnored,
        Self::DroppedEarly,
    ];

    /// What must come of it.
    pub(super) fn harm(self) -> &'static str {
        match self {
            Self::IssuerTimeIgnored => "refused a good token",
            _ => "served what",
        }
    }

    /// Spoils a message on its way to a follower that was told the log through `applied`
    /// and whose wall clock shows `wall_us`. `None`: it is lost.
    pub(super) fn spoil(
        self,
        mut message: WatchResponse,
        applied: u64,
        wall_us: i64,
        rng: &mut Rng,
    ) -> Option<WatchResponse> {
        let event = message.event.as_mut()?;
        match (self, event) {
            (Self::SkippedEntry, Event::Batch(batch)) if rng.chance(20) => {
                batch.revocations.pop();
            }
            (Self::GapIgnored, Event::Batch(batch)) => {
                if rng.chance(20) {
                    return None;
                }
                batch.after_seq = batch.after_seq.min(applied);
            }
            (Self::HeartbeatBelieved, Event::Batch(_)) if rng.chance(20) => return None,
            (Self::HeartbeatBelieved, Event::Heartbeat(heartbeat)) => {
                heartbeat.head_seq = heartbeat.head_seq.min(applied);
            }
            (Self::SwappedEarly, Event::Opening(opening)) => {
                opening.head_seq = opening.after_seq;
            }
            (Self::IssuerTimeIgnored, Event::Opening(opening)) => opening.now_us = wall_us,
            (Self::IssuerTimeIgnored, Event::Heartbeat(heartbeat)) => heartbeat.now_us = wall_us,
            (Self::DroppedEarly, Event::Batch(batch)) => {
                for row in &mut batch.revocations {
                    row.expires_at_s = row.revoked_at_us / 1_000_000 + 3;
                }
            }
            _ => {}
        }
        Some(message)
    }
}
