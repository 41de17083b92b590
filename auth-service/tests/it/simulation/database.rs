//! What all instances of the auth service share: sessions, the log and the keys, each
//! change one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use auth_service::revocations::{Head, LogId, Revocation, RevocationTarget};
use auth_service::session::SessionId;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use token_verifier::testing::TestIssuer;
use token_verifier::{KeySet, Subject};

use super::rng::Rng;
use super::schedule::Millis;

pub(super) const ISSUER: &str = "http://issuer";

/// Shorter than in life, so that a minute and a half sees entries come and go.
pub(super) const TOKEN_LIFE_S: i64 = 20;

/// The leeway of 5 s, and a margin of 10.
pub(super) const ENTRY_LIFE_S: i64 = TOKEN_LIFE_S + 15;

/// From a key's publication to its first signature.
pub(super) const PUBLISH_BEFORE: Millis = 12_000;

const RETIRING: Millis = (TOKEN_LIFE_S as Millis + 10) * 1000;

/// Key entries outlive a whole simulation, as they outlive every saved JWKS.
const KEY_ENTRY_LIFE_S: i64 = 30 * 86_400;

/// Made once: keys are not what is random here.
static POOL: LazyLock<Vec<TestIssuer>> =
    LazyLock::new(|| (0..10).map(|_| TestIssuer::new(ISSUER)).collect());

const START: i64 = 1_800_000_000;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) subject: usize,
    /// When it was ended, if it was.
    pub(super) ended_at: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyState {
    Upcoming,
    Active,
    Retiring,
    Deleted,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) state: KeyState,
    since: Millis,
    pub(super) published_at: Millis,
    pub(super) revoked_at: Option<Millis>,
}

/// The shared state, and the auth service's wall clock, which all instances agree on.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) log_id: String,
    pub(super) rows: Vec<Revocation>,
    pub(super) head: u64,
    pub(super) sessions: Vec<Session>,
    /// By subject: what was issued before is revoked, in seconds since 1970.
    issued_before_s: BTreeMap<usize, i64>,
    /// By their place in the pool.
    pub(super) keys: Vec<Key>,
    /// Counts changes of the published keys.
    pub(super) key_version: u64,
    pub(super) jwks: Arc<[u8]>,
    /// Which keys each version had.
    versions: Vec<BTreeSet<usize>>,
    /// Where the wall clock was put, in seconds beside the true time.
    pub(super) clock_offset_s: i64,
    /// When somebody put it there.
    clock_sets: Vec<Millis>,
    /// The latest time that was noted: what was issued then is alive for longer than a
    /// clock that was set back makes believe.
    latest_s: i64,
}

impl Database {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut database = Self {
            log_id: hex(&rng.uuid()),
            rows: Vec::new(),
            // A log that is older than its oldest row.
            head: rng.range(0, 3) * 7,
            sessions: Vec::new(),
            issued_before_s: BTreeMap::new(),
            keys: vec![Key {
                state: KeyState::Active,
                since: 0,
                published_at: 0,
                revoked_at: None,
            }],
            key_version: 0,
            jwks: Arc::from([]),
            versions: vec![BTreeSet::new()],
            clock_offset_s: 0,
            clock_sets: Vec::new(),
            latest_s: START,
        };
        database.publish();
        database
    }

    /// The auth service's clock.
    pub(super) fn now(&self, time: Millis) -> Timestamp {
        true_time(time) + SignedDuration::from_secs(self.clock_offset_s)
    }

    pub(super) fn now_s(&self, time: Millis) -> i64 {
        self.now(time).as_second()
    }

    /// Somebody sets it.
    pub(super) fn step_clock(&mut self, by_s: i64, time: Millis) {
        self.clock_offset_s += by_s;
        self.clock_sets.push(time);
    }

    /// When somebody last did.
    pub(super) fn clock_set_at(&self) -> Option<Millis> {
        self.clock_sets.last().copied()
    }

    /// How often that was done from a moment on.
    pub(super) fn clock_sets_since(&self, time: Millis) -> usize {
        self.clock_sets.iter().filter(|at| **at >= time).count()
    }

    pub(super) fn log_head(&self) -> Head {
        Head {
            log_id: LogId::new(self.log_id.as_str()),
            seq: self.head,
        }
    }

    /// At most `limit` entries after one.
    pub(super) fn read_after(&self, seq: u64, limit: u32) -> Vec<Revocation> {
        let after = self.rows.iter().filter(|row| row.seq > seq);
        after.take(limit as usize).cloned().collect()
    }

    pub(super) fn sign_in(&mut self, subject: usize, rng: &mut Rng) -> usize {
        self.sessions.push(Session {
            name: uuid_text(&rng.uuid()),
            subject,
            ended_at: None,
        });
        self.sessions.len() - 1
    }

    /// A logout: the session's row goes and the log's row comes.
    pub(super) fn end_session(&mut self, session: usize, time: Millis) {
        if self.sessions[session].ended_at.is_some() {
            return;
        }
        self.sessions[session].ended_at = Some(time);
        let id = SessionId::parse(&self.sessions[session].name).expect("a UUID in its usual form");
        self.append(RevocationTarget::Session(id), ENTRY_LIFE_S, time);
    }

    /// An operator ends all that a subject has; it may sign in again at once, so the
    /// second of the revocation is not part of it and its sessions are named too.
    pub(super) fn revoke_subject(&mut self, subject: usize, time: Millis) {
        for session in self.live_sessions(subject) {
            self.end_session(session, time);
        }
        self.revoke_issued_before(self.now_s(time), subject, time);
    }

    /// The account is disabled, and its subject signs in no more.
    ///
    /// While the clock has kept going the subject's entry must do alone; after it was set
    /// back there may be tokens from later than now.
    pub(super) fn disable(&mut self, subject: usize, time: Millis) {
        for session in self.live_sessions(subject) {
            if self.clock_sets.is_empty() {
                self.sessions[session].ended_at = Some(time);
            } else {
                self.end_session(session, time);
            }
        }
        self.revoke_issued_before(self.now_s(time) + 1, subject, time);
    }

    fn revoke_issued_before(&mut self, before_s: i64, subject: usize, time: Millis) {
        let known = self.issued_before_s.entry(subject).or_insert(before_s);
        *known = before_s.max(*known);
        self.append(subject_target(subject, before_s), ENTRY_LIFE_S, time);
    }

    /// By the word of the log. It differs from the order of events only if the clock was
    /// set back: then a new session's tokens may be older than an earlier revocation.
    pub(super) fn is_before_revocation(&self, session: usize, issued_at_s: i64) -> bool {
        let before = self.issued_before_s.get(&self.sessions[session].subject);
        before.is_some_and(|before| issued_at_s < *before)
    }

    /// The active key is compromised. False if there is no other left.
    pub(super) fn revoke_active_key(&mut self, time: Millis) -> bool {
        let active = self.active();
        let other = self
            .position(KeyState::Upcoming)
            .or_else(|| self.add_key(time));
        let Some(other) = other else { return false };
        self.set_key(active, KeyState::Deleted, time);
        self.set_key(other, KeyState::Active, time);
        self.keys[active].revoked_at = Some(time);
        let kid = POOL[active].kid().to_owned();
        self.append(RevocationTarget::Key(kid), KEY_ENTRY_LIFE_S, time);
        self.publish();
        true
    }

    /// A new key, if there is none on its way.
    pub(super) fn rotate(&mut self, time: Millis) -> bool {
        if self.position(KeyState::Upcoming).is_some() {
            return false;
        }
        let Some(key) = self.add_key(time) else {
            return false;
        };
        self.set_key(key, KeyState::Upcoming, time);
        self.publish();
        true
    }

    /// Takes the steps of keys that are due, and drops rows that concern nobody.
    pub(super) fn maintain(&mut self, time: Millis) {
        let upcoming = self.position(KeyState::Upcoming);
        if let Some(key) = upcoming.filter(|key| time >= self.keys[*key].since + PUBLISH_BEFORE) {
            self.set_key(self.active(), KeyState::Retiring, time);
            self.set_key(key, KeyState::Active, time);
        }
        let over = self
            .position(KeyState::Retiring)
            .filter(|key| time >= self.keys[*key].since + RETIRING);
        if let Some(key) = over {
            self.set_key(key, KeyState::Deleted, time);
            self.publish();
        }
        self.latest_s = self.latest_s.max(self.now_s(time));
        // By a clock that is an hour ahead for a while, nothing is dropped.
        let now = self.now_s(time).min(true_time(time).as_second());
        // Somewhat late, as it is done in batches and now and then.
        self.rows.retain(|row| row.expires_at_s + 3 > now);
    }

    /// The database was restored elsewhere: the same sessions, another log.
    pub(super) fn move_log(&mut self, rng: &mut Rng) {
        self.log_id = hex(&rng.uuid());
        for (row, seq) in self.rows.iter_mut().zip(1..) {
            row.seq = seq;
        }
        self.head = self.rows.len() as u64;
    }

    /// A token as the exchange makes it. The clock was read before the session was.
    pub(super) fn issue(&self, session: usize, audience: &str, time: Millis) -> Issued {
        let Session { name, subject, .. } = &self.sessions[session];
        let key = self.active();
        let issuer = &POOL[key];
        let issued_at_s = self.now_s(time);
        let claims = json!({
            "iss": ISSUER, "aud": audience, "sub": subject_name(*subject), "sid": name,
            "client_id": "gateway", "iat": issued_at_s, "exp": issued_at_s + TOKEN_LIFE_S,
            "jti": format!("{name}-{time}"), "scope": "", "acr": "1",
            "auth_time": issued_at_s, "amr": ["pwd"],
        });
        Issued {
            text: issuer.token_with(issuer.default_header(), claims),
            key,
            issued_at_s,
        }
    }

    /// The keys of a version of the key set.
    pub(super) fn published_in(&self, version: u64) -> BTreeSet<usize> {
        self.versions[version as usize].clone()
    }

    pub(super) fn active(&self) -> usize {
        self.position(KeyState::Active)
            .expect("one key is always active")
    }

    fn live_sessions(&self, subject: usize) -> Vec<usize> {
        (0..self.sessions.len())
            .filter(|at| self.sessions[*at].subject == subject)
            .filter(|at| self.sessions[*at].ended_at.is_none())
            .collect()
    }

    fn append(&mut self, target: RevocationTarget, life_s: i64, time: Millis) {
        self.head += 1;
        self.rows.push(Revocation {
            seq: self.head,
            target,
            revoked_at: self.now(time),
            expires_at_s: self.now_s(time).max(self.latest_s) + life_s,
        });
    }

    fn add_key(&mut self, time: Millis) -> Option<usize> {
        (self.keys.len() < POOL.len()).then(|| {
            self.keys.push(Key {
                state: KeyState::Upcoming,
                since: time,
                published_at: time,
                revoked_at: None,
            });
            self.keys.len() - 1
        })
    }

    fn position(&self, state: KeyState) -> Option<usize> {
        self.keys.iter().position(|key| key.state == state)
    }

    fn set_key(&mut self, key: usize, state: KeyState, time: Millis) {
        self.keys[key].state = state;
        self.keys[key].since = time;
    }

    fn publish(&mut self) {
        let published: BTreeSet<_> = (0..self.keys.len())
            .filter(|key| self.keys[*key].state != KeyState::Deleted)
            .collect();
        let keys: Vec<_> = published.iter().map(|key| POOL[*key].jwk()).collect();
        self.versions.push(published);
        self.jwks = json!({ "keys": keys }).to_string().into_bytes().into();
        self.key_version += 1;
    }
}

/// What an exchange gives.
pub(super) struct Issued {
    pub(super) text: String,
    pub(super) key: usize,
    pub(super) issued_at_s: i64,
}

pub(super) fn kid(key: usize) -> &'static str {
    POOL[key].kid()
}

/// What a process finds on its disk at every start: the first key, whatever became of that.
pub(super) fn saved_keys() -> KeySet {
    POOL[0].key_set()
}

/// The true time, which a clock that nobody set shows.
pub(super) fn true_time(time: Millis) -> Timestamp {
    Timestamp::from_millisecond(START * 1000 + time as i64).expect("within this century")
}

pub(super) fn subject_name(subject: usize) -> String {
    format!("usr_{}", uuid_text(&(subject as u128 + 1).to_be_bytes()))
}

fn subject_target(subject: usize, issued_before_s: i64) -> RevocationTarget {
    RevocationTarget::Subject {
        subject: Subject::parse(&subject_name(subject)).expect("a subject in its usual form"),
        issued_before_s,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    uuid::Uuid::from_bytes(*bytes).to_string()
}
