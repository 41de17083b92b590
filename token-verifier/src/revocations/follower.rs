//! What to make of the feed's messages: a state machine without tasks, clocks or tables.
//!
//! It remembers up to where which log was applied, and when that was last known to be all
//! of it. A stream may break off anywhere; the next one goes on from there. Whatever
//! arrives twice, late or out of order changes nothing or ends the stream.

use std::time::Duration;

use proto::auth::v1::watch_response::Event;
use proto::auth::v1::{Heartbeat, Opening, RevocationBatch, WatchRequest, WatchResponse};

use super::issuer_clock::IssuerClock;
use super::message::{self, Revoked};
use super::options::FeedState;
use super::resync::Resync;

/// Follows the log. `now` is monotonic time throughout.
#[derive(Debug)]
pub struct Follower {
    heartbeat_timeout: Duration,
    applied: Option<Position>,
    stream: Stream,
    issuer: IssuerClock,
    seen_at: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Position {
    log_id: String,
    seq: u64,
}

#[derive(Debug)]
enum Stream {
    /// There is none, or none that is believed.
    Closed,
    Asked {
        at: Duration,
    },
    Open(Open),
}

#[derive(Debug)]
struct Open {
    /// How far the log is known: applied, or collected aside in a snapshot.
    at: Position,
    is_snapshot: bool,
    /// What the opening promised to reach, and when that was all there was.
    head: u64,
    head_at: Duration,
}

impl Open {
    fn is_behind(&self) -> bool {
        self.is_snapshot || self.at.seq < self.head
    }
}

/// What a message changes, in the order of the fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Collect aside from here on.
    pub snapshot_begins: bool,
    /// Add these: to what is collected aside, or else to what is in force.
    pub revoked: Vec<Revoked>,
    /// Put what was collected aside in the place of what is in force.
    pub snapshot_ends: bool,
    /// What to add to the monotonic time, in microseconds, for the auth service's.
    pub issuer_offset_us: Option<i64>,
    /// When nothing was missing.
    pub seen_at: Option<Duration>,
    /// The JWKS document from now on.
    pub key_set: Option<Vec<u8>>,
}

impl Follower {
    /// One that knows nothing yet, and trusts what it knows for `heartbeat_timeout`.
    #[must_use]
    pub fn new(heartbeat_timeout: Duration) -> Self {
        Self {
            heartbeat_timeout,
            applied: None,
            stream: Stream::Closed,
            issuer: IssuerClock::default(),
            seen_at: None,
        }
    }

    /// What to ask for, now. Whatever stream there was is over.
    pub fn request(&mut self, now: Duration) -> WatchRequest {
        self.stream = Stream::Asked { at: now };
        match &self.applied {
            None => WatchRequest::default(),
            Some(Position { log_id, seq }) => WatchRequest {
                log_id: log_id.clone(),
                after_seq: *seq,
            },
        }
    }

    /// Takes a message in. There may be `room` revocations more in what is collected aside,
    /// while that [`is_collecting`](Self::is_collecting), or else in what is in force.
    ///
    /// # Errors
    ///
    /// [`Resync`] if the stream is to be given up. Then the message has no effects.
    pub fn apply(
        &mut self,
        response: WatchResponse,
        now: Duration,
        room: usize,
    ) -> Result<Effects, Resync> {
        let effects = match response.event {
            Some(Event::Opening(opening)) => self.open(opening, now),
            Some(Event::Batch(batch)) => self.batch(&batch, room),
            Some(Event::Heartbeat(heartbeat)) => self.heartbeat(&heartbeat, now),
            Some(Event::KeySet(key_set)) => self.open_stream().map(|_| Effects {
                key_set: Some(key_set.jwks),
                ..Effects::default()
            }),
            // An event that a newer auth service knows. It says nothing about revocations:
            // those are numbered, and one that is missing is missed.
            None => self.open_stream().map(|_| Effects::default()),
        };
        if effects.is_err() {
            self.disconnected();
        }
        effects
    }

    /// The stream is over, or not believed any more.
    pub fn disconnected(&mut self) {
        self.stream = Stream::Closed;
    }

    /// Whether a snapshot is being collected aside.
    #[must_use]
    pub fn is_collecting(&self) -> bool {
        matches!(&self.stream, Stream::Open(open) if open.is_snapshot)
    }

    /// Whether the stream has brought all that it promised at its opening.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        matches!(&self.stream, Stream::Open(open) if !open.is_behind())
    }

    /// How far the stream has told the log.
    pub(super) fn through(&self) -> Option<u64> {
        match &self.stream {
            Stream::Open(open) => Some(open.at.seq),
            Stream::Closed | Stream::Asked { .. } => None,
        }
    }

    /// How much is known.
    #[must_use]
    pub fn state(&self, now: Duration) -> FeedState {
        match self.seen_at {
            None => FeedState::NoSnapshot,
            Some(at) if now.saturating_sub(at) < self.heartbeat_timeout => FeedState::Following,
            Some(_) => FeedState::Stale,
        }
    }

    fn open(&mut self, opening: Opening, now: Duration) -> Result<Effects, Resync> {
        let Stream::Asked { at: asked_at } = self.stream else {
            return Err(Resync::Opening);
        };
        message::check_opening(&opening)?;
        let is_snapshot = opening.after_seq == 0;
        if !is_snapshot && !self.goes_on_at(&opening) {
            return Err(Resync::Malformed(
                "the feed goes on where it was not asked to",
            ));
        }
        let head_at = self.issuer.answered(opening.now_us, asked_at, now);
        self.stream = Stream::Open(Open {
            at: Position {
                log_id: opening.log_id,
                seq: opening.after_seq,
            },
            is_snapshot,
            head: opening.head_seq,
            head_at,
        });
        let mut effects = self.advanced(opening.after_seq, Vec::new())?;
        effects.snapshot_begins = is_snapshot;
        effects.issuer_offset_us = self.issuer.offset_us();
        Ok(effects)
    }

    fn goes_on_at(&self, opening: &Opening) -> bool {
        self.applied.as_ref().is_some_and(|applied| {
            applied.log_id == opening.log_id && applied.seq == opening.after_seq
        })
    }

    fn batch(&mut self, batch: &RevocationBatch, room: usize) -> Result<Effects, Resync> {
        let open = self.open_stream()?;
        let revoked = message::read_batch(batch)?;
        if batch.after_seq > open.at.seq {
            return Err(Resync::Gap {
                applied: open.at.seq,
                found: batch.after_seq,
            });
        }
        if batch.through_seq <= open.at.seq {
            return Ok(Effects::default());
        }
        if revoked.len() > room {
            return Err(Resync::TooMany);
        }
        self.advanced(batch.through_seq, revoked)
    }

    /// The log is known through `seq`.
    fn advanced(&mut self, seq: u64, revoked: Vec<Revoked>) -> Result<Effects, Resync> {
        let open = self.open_stream()?;
        open.at.seq = seq;
        let is_all = seq >= open.head;
        let snapshot_ends = open.is_snapshot && is_all;
        open.is_snapshot &= !is_all;
        let applied = (!open.is_snapshot).then(|| open.at.clone());
        let head_at = is_all.then_some(open.head_at);
        if applied.is_some() {
            self.applied = applied;
        }
        Ok(Effects {
            revoked,
            snapshot_ends,
            seen_at: head_at.and_then(|at| self.seen(at)),
            ..Effects::default()
        })
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat, now: Duration) -> Result<Effects, Resync> {
        let open = self.open_stream()?;
        message::check_time(heartbeat.now_us)?;
        let (is_behind, seq) = (open.is_behind(), open.at.seq);
        if !is_behind && heartbeat.head_seq > seq {
            return Err(Resync::Gap {
                applied: seq,
                found: heartbeat.head_seq,
            });
        }
        let sent_at = self.issuer.told(heartbeat.now_us, now);
        let mut effects = Effects {
            issuer_offset_us: self.issuer.offset_us(),
            ..Effects::default()
        };
        if is_behind {
            return Ok(effects);
        }
        // A heartbeat out of a buffer proves what was so when it was sent. A new opening is
        // fresh; and should the auth service's clock have been set back, it tells.
        if now.saturating_sub(sent_at) >= self.heartbeat_timeout / 2 {
            return Err(Resync::Late);
        }
        effects.seen_at = self.seen(sent_at);
        Ok(effects)
    }

    /// Remembers when nothing was missing, if that is news.
    fn seen(&mut self, at: Duration) -> Option<Duration> {
        if self.seen_at.is_some_and(|seen_at| seen_at >= at) {
            return None;
        }
        self.seen_at = Some(at);
        self.seen_at
    }

    fn open_stream(&mut self) -> Result<&mut Open, Resync> {
        match &mut self.stream {
            Stream::Open(open) => Ok(open),
            Stream::Closed | Stream::Asked { .. } => Err(Resync::Opening),
        }
    }
}

#[cfg(test)]
mod tests;
