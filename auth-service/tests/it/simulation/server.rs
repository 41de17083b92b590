//! The instances of the auth service and the streams of their watchers. What is told, to
//! whom and in which order is the real [`Tail`]'s and [`Watcher`]'s business; the ring and
//! the connection between them are simulated.

use std::collections::VecDeque;
use std::time::Duration;

use auth_service::revocations::{
    Batch, Resume, Revocation, RevocationTarget, Tail, Watcher, watcher::Told,
};
use proto::auth::v1::{
    self, Heartbeat, KeySet, Opening, RevocationBatch, SubjectRevocation, WatchRequest,
    WatchResponse, revocation::Target, watch_response::Event,
};

use super::database::Database;
use super::sabotage::Sabotage;
use super::schedule::Millis;

/// Entries in one message: few, so that many seeds break off within a snapshot.
const CHUNK: u32 = 3;

/// Messages on the way that the transport takes before it makes the server wait.
const WINDOW: usize = 4;

/// Messages that a watcher may lag behind.
const RING: usize = 16;

/// How long a watcher may take nothing at all.
const PATIENCE: Millis = 10_000;

/// A message for everybody.
#[derive(Clone, Debug)]
pub(super) enum News {
    Batch(Batch),
    Heartbeat(Heartbeat),
    KeySet,
    Replaced,
}

/// One process of the auth service.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) is_up: bool,
    pub(super) reaches_database: bool,
    tail: Option<Tail>,
    announced_keys: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) sent_at: Millis,
    /// When what it says was so.
    pub(super) as_of: Millis,
    pub(super) arrives_at: Millis,
    /// `None`: the server ended the stream.
    pub(super) message: Option<WatchResponse>,
    /// Which published keys a `KeySet` holds.
    pub(super) key_version: u64,
}

/// What the server does next for a watcher.
#[derive(Debug)]
pub(super) enum Next {
    /// Something to say, and when that was so.
    Message(Event, Millis),
    /// The stream is over, and why.
    End(&'static str),
}

/// A stream of the feed, from the follower's question to its end.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) node: usize,
    pub(super) instance: usize,
    request: WatchRequest,
    /// The follower reads from it.
    pub(super) is_followed: bool,
    /// The server writes to it while there is one.
    watcher: Option<Watcher>,
    ring: VecDeque<(Millis, News)>,
    pub(super) pipe: VecDeque<Packet>,
    /// The broken variant: a snapshot lacks what was revoked from here on.
    hole_from_us: Option<i64>,
}

impl Instance {
    pub(super) fn new() -> Self {
        Self {
            is_up: true,
            reaches_database: true,
            tail: None,
            announced_keys: 0,
        }
    }

    /// All that it had in memory is gone.
    pub(super) fn restart(&mut self) {
        self.is_up = true;
        self.tail = None;
        self.announced_keys = 0;
    }

    pub(super) fn can_read(&self) -> bool {
        self.is_up && self.reaches_database
    }

    /// What there is to tell all watchers, as the hub's task finds it.
    pub(super) fn round(
        &mut self,
        database: &Database,
        time: Millis,
        sabotage: Option<Sabotage>,
    ) -> Vec<News> {
        if !self.can_read() {
            let is_blind = self.is_up && sabotage == Some(Sabotage::HeartbeatUnread);
            return if is_blind {
                self.blind(database, time)
            } else {
                Vec::new()
            };
        }
        let mut news = Vec::new();
        if database.key_version > self.announced_keys {
            self.announced_keys = database.key_version;
            news.push(News::KeySet);
        }
        let head = database.log_head();
        if self.tail.as_ref().is_some_and(|tail| !tail.is_of(&head)) {
            news.push(News::Replaced);
            self.tail = None;
        }
        let tail = self.tail.get_or_insert_with(|| Tail::new(head.clone()));
        while tail.is_behind(&head) {
            let entries = database.read_after(tail.seq(), CHUNK);
            news.extend(tail.read(head.seq, entries, CHUNK).map(News::Batch));
        }
        if let Some(head_seq) = tail.heartbeat(&head, Duration::from_millis(time)) {
            news.push(News::Heartbeat(heartbeat(head_seq, database, time)));
        }
        news
    }

    /// The broken variant's heartbeat, of what it read last.
    fn blind(&mut self, database: &Database, time: Millis) -> Vec<News> {
        let Some(tail) = &mut self.tail else {
            return Vec::new();
        };
        let believed = auth_service::revocations::Head {
            seq: tail.seq(),
            ..database.log_head()
        };
        let head_seq = tail.heartbeat(&believed, Duration::from_millis(time));
        let beat = head_seq.map(|seq| News::Heartbeat(heartbeat(seq, database, time)));
        beat.into_iter().collect()
    }
}

impl Connection {
    pub(super) fn new(node: usize, instance: usize, request: WatchRequest) -> Self {
        Self {
            node,
            instance,
            request,
            is_followed: true,
            watcher: None,
            ring: VecDeque::new(),
            pipe: VecDeque::new(),
            hole_from_us: None,
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watcher.is_some()
    }

    /// Whether it reads the log for itself.
    pub(super) fn is_catching_up(&self) -> bool {
        let must_read = self.watcher.as_ref().and_then(Watcher::must_read);
        must_read.is_some()
    }

    /// The server takes it.
    pub(super) fn open(
        &mut self,
        database: &Database,
        time: Millis,
        sabotage: Option<Sabotage>,
    ) -> Opening {
        let resume = Resume {
            log_id: self.request.log_id.clone(),
            after_seq: self.request.after_seq,
        };
        let (watcher, opening) = Watcher::open(&resume, database.log_head());
        self.watcher = Some(watcher);
        self.ring.push_back((time, News::KeySet));
        let now_us = database.now(time).as_microsecond();
        let has_hole = sabotage == Some(Sabotage::SnapshotHasHole) && opening.after_seq == 0;
        self.hole_from_us = has_hole.then_some(now_us - 1_000_000);
        Opening {
            log_id: opening.log_id.to_string(),
            after_seq: opening.after_seq,
            head_seq: opening.head_seq,
            now_us,
        }
    }

    pub(super) fn tell(&mut self, news: News, time: Millis) {
        self.ring.push_back((time, news));
    }

    /// What goes into the connection now. `None`: nothing, or it is full.
    pub(super) fn next(
        &mut self,
        database: &Database,
        time: Millis,
        can_read: bool,
    ) -> Option<Next> {
        let watcher = self.watcher.as_mut()?;
        let end = if self.ring.len() > RING {
            Some("slow watcher dropped")
        } else if self
            .pipe
            .front()
            .is_some_and(|first| time > first.sent_at + PATIENCE)
        {
            Some("stuck watcher dropped")
        } else {
            None
        };
        if let Some(why) = end {
            return Some(self.end_of(why));
        }
        if self.pipe.len() >= WINDOW {
            return None;
        }
        // The keys come first.
        let is_keys = matches!(self.ring.front(), Some((_, News::KeySet)));
        if let Some(seq) = watcher.must_read().filter(|_| !is_keys) {
            if !can_read {
                return Some(self.end_of("watcher dropped for want of a database"));
            }
            let entries = database.read_after(seq, CHUNK);
            let mut batch = watcher.read(entries, CHUNK);
            if let Some(from_us) = self.hole_from_us {
                batch
                    .entries
                    .retain(|entry| entry.revoked_at.as_microsecond() < from_us);
            }
            return Some(Next::Message(Event::Batch(wire(&batch)), time));
        }
        if !is_keys {
            self.hole_from_us = None;
        }
        self.pass_on(database, time)
    }

    fn pass_on(&mut self, database: &Database, time: Millis) -> Option<Next> {
        loop {
            let (published_at, news) = self.ring.pop_front()?;
            let watcher = self.watcher.as_mut()?;
            let (told, event) = match news {
                News::KeySet => return Some(Next::Message(key_set(database), time)),
                News::Replaced => return Some(self.end_of("log replaced under a watcher")),
                News::Batch(batch) => (watcher.batch(&batch), Event::Batch(wire(&batch))),
                News::Heartbeat(beat) => {
                    let age = Duration::from_millis(time - published_at);
                    (
                        watcher.heartbeat(beat.head_seq, age),
                        Event::Heartbeat(beat),
                    )
                }
            };
            match told {
                Told::Pass => return Some(Next::Message(event, published_at)),
                Told::Cut(batch) => {
                    return Some(Next::Message(Event::Batch(wire(&batch)), published_at));
                }
                Told::Known => {}
                Told::Gap => return self.next(database, time, true),
            }
        }
    }

    fn end_of(&mut self, why: &'static str) -> Next {
        self.hang_up();
        Next::End(why)
    }

    /// The server's side is over.
    pub(super) fn hang_up(&mut self) {
        self.watcher = None;
        self.ring.clear();
    }

    /// Both sides are, and what was under way is lost.
    pub(super) fn end(&mut self) {
        self.hang_up();
        self.is_followed = false;
        self.pipe.clear();
    }
}

fn heartbeat(head_seq: u64, database: &Database, time: Millis) -> Heartbeat {
    Heartbeat {
        head_seq,
        now_us: database.now(time).as_microsecond(),
    }
}

fn key_set(database: &Database) -> Event {
    Event::KeySet(KeySet {
        jwks: database.jwks.to_vec(),
    })
}

fn wire(batch: &Batch) -> RevocationBatch {
    RevocationBatch {
        after_seq: batch.after_seq,
        through_seq: batch.through_seq,
        revocations: batch.entries.iter().map(entry).collect(),
    }
}

fn entry(entry: &Revocation) -> v1::Revocation {
    let target = match &entry.target {
        RevocationTarget::Session(id) => Target::SessionId(id.as_bytes().to_vec()),
        RevocationTarget::Subject {
            subject,
            issued_before_s,
        } => Target::Subject(SubjectRevocation {
            subject: subject.to_string(),
            issued_before_s: *issued_before_s,
        }),
        RevocationTarget::Key(kid) => Target::KeyId(kid.clone()),
    };
    v1::Revocation {
        seq: entry.seq,
        target: Some(target),
        revoked_at_us: entry.revoked_at.as_microsecond(),
        expires_at_s: entry.expires_at_s,
    }
}
