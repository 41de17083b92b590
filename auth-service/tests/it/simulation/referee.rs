//! What must hold, and of which tokens: knows everything and takes part in nothing.

use token_verifier::{FeedState, OnStale, RevocationKeys, VerifyError};

use super::database::{Database, KeyState, TOKEN_LIFE_S, kid, subject_name};
use super::node::{GATEWAY, HEARTBEAT_TIMEOUT, NODES, Node};
use super::schedule::Millis;

/// The verifier's leeway.
const LEEWAY_MS: Millis = 5_000;

/// No message is under way for longer, but for one that is held up by what is broken.
pub(super) const LONGEST_DELAY: Millis = 2_000;

/// After which a node that nothing disturbs has connected and caught up: silence within a
/// snapshot noticed, the longest pause between attempts, and the messages themselves.
pub(super) const SETTLED: Millis = 16_000;

/// How late a revocation may take effect at a node that nothing disturbs.
const DELIVERY: Millis = LONGEST_DELAY + 1_500;

/// The follower allows for an issuer's clock that runs slow by one part in 2000.
const SLACK: Millis = 100;

/// A token that was issued, and to whom.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) session: usize,
    /// Where it is good.
    pub(super) node: usize,
    pub(super) key: usize,
    pub(super) issued_at: Millis,
    pub(super) issued_at_s: i64,
}

impl Token {
    pub(super) fn revocation_keys(&self, database: &Database) -> RevocationKeys {
        let session = &database.sessions[self.session];
        RevocationKeys::new(
            Some(&session.name),
            &subject_name(session.subject),
            kid(self.key),
            jiff::Timestamp::from_second(self.issued_at_s).expect("within this century"),
        )
    }

    fn summary(&self) -> (usize, usize, usize, i64) {
        (self.session, self.node, self.key, self.issued_at_s)
    }

    /// By the issuer's time, without any leeway.
    pub(super) fn is_alive(&self, now_s: i64) -> bool {
        (self.issued_at_s..self.expires_at_s()).contains(&now_s)
    }

    fn expires_at_s(&self) -> i64 {
        self.issued_at_s + TOKEN_LIFE_S
    }

    /// Since when nobody should serve it.
    fn revoked_at(&self, database: &Database) -> Option<Millis> {
        let session = database.sessions[self.session].ended_at;
        let key = database.keys[self.key].revoked_at;
        session.into_iter().chain(key).min()
    }
}

#[derive(Debug, Default)]
pub(super) struct Referee {
    pub(super) tokens: Vec<Token>,
    /// When something last broke or was mended for a node.
    disturbed_at: [Millis; NODES],
    /// The first thing that was wrong.
    pub(super) violation: Option<String>,
}

/// Whether a node served, and if not, why.
pub(super) type Verdict = Result<(), VerifyError>;

impl Referee {
    pub(super) fn accuse(&mut self, time: Millis, what: &str, token: usize, node: &Node) {
        if self.violation.is_some() {
            return;
        }
        self.violation = Some(format!(
            "at {time} ms {} {what}: token {:?}, state {:?} on_stale {:?}, told {:?}",
            node.audience,
            self.tokens.get(token).map(Token::summary),
            node.state(),
            node.on_stale,
            node.ledger,
        ));
    }

    /// A node has decided about a token that is meant for it, or of the gateway's.
    pub(super) fn judge(
        &mut self,
        database: &Database,
        (at, node): (usize, &Node),
        token: usize,
        verdict: &Verdict,
        time: Millis,
    ) {
        let found = match verdict {
            Ok(()) => self.fault_of_serving(database, (at, node), token, time),
            Err(error) => self.fault_of_refusing(database, (at, node), token, error, time),
        };
        if let Some(what) = found {
            self.accuse(time, what, token, node);
        }
    }

    /// Something broke or was mended for a node.
    pub(super) fn disturb(&mut self, node: usize, time: Millis) {
        self.disturbed_at[node] = time;
    }

    pub(super) fn is_settled(&self, node: usize, time: Millis) -> bool {
        time >= self.disturbed_at[node] + SETTLED
    }

    fn fault_of_serving(
        &self,
        database: &Database,
        (at, node): (usize, &Node),
        token: usize,
        time: Millis,
    ) -> Option<&'static str> {
        let token = &self.tokens[token];
        if node.ledger.opened_at.is_none() || node.state() == FeedState::NoSnapshot {
            return Some("served without a snapshot");
        }
        if node.state() == FeedState::Stale && node.on_stale == OnStale::Refuse {
            return Some("served while stale");
        }
        if self.is_over(database, (at, node), token, time) {
            return Some("served an expired token");
        }
        let revoked_at = token.revoked_at(database)?;
        // What was over by a clock that was ahead may be alive when that is put right. A
        // follower that had the entry keeps it. One that takes a snapshot meanwhile may not
        // get it: the clock set twice and a restart, all within the life of one token, is
        // more than is promised.
        let took_snapshot = node.ledger.snapshot_at > Some(token.issued_at);
        if took_snapshot && database.clock_sets_since(token.issued_at) > 1 {
            return None;
        }
        if node.ledger.proof_at.is_some_and(|proof| revoked_at < proof) {
            return Some("served what it must know to be revoked");
        }
        let since = time - revoked_at;
        if self.is_settled(at, time) && since > DELIVERY {
            return Some("served what was revoked, though nothing was broken");
        }
        let timeout = HEARTBEAT_TIMEOUT.as_millis() as Millis + SLACK;
        let is_following = node.state() == FeedState::Following;
        if is_following && since > timeout && self.knows_the_time(database, node) {
            return Some("served what was revoked before the heartbeat timeout");
        }
        // A clock that was set back lengthens the life of what was issued before.
        let life = TOKEN_LIFE_S as Millis * 1000 + LEEWAY_MS + LONGEST_DELAY;
        (since > life && database.clock_set_at().is_none())
            .then_some("served what was revoked before the longest life of a token")
    }

    /// Expired by the issuer's time, wherever the node's own clock is. The gateway counts
    /// from its question by a steady clock, and leaves the rest to the services.
    fn is_over(
        &self,
        database: &Database,
        (at, node): (usize, &Node),
        token: &Token,
        time: Millis,
    ) -> bool {
        let latest = database.now_s(time.saturating_sub(LONGEST_DELAY + 1_000));
        let over = latest >= token.expires_at_s() + (LEEWAY_MS / 1000) as i64;
        let counts_itself = at == GATEWAY && database.clock_set_at().is_some();
        over && !counts_itself && self.knows_the_time(database, node)
    }

    /// Whether the node has been told the issuer's time since somebody set that.
    fn knows_the_time(&self, database: &Database, node: &Node) -> bool {
        node.ledger.opened_at > database.clock_set_at()
    }

    fn fault_of_refusing(
        &self,
        database: &Database,
        (at, node): (usize, &Node),
        token: usize,
        error: &VerifyError,
        time: Millis,
    ) -> Option<&'static str> {
        let token = &self.tokens[token];
        if !is_good(database, token, time) {
            return None;
        }
        if matches!(error, VerifyError::Revoked) {
            return Some("called a live session revoked");
        }
        // After a compromise there is no time to publish a key before it signs.
        let is_announced = time >= database.keys[token.key].published_at + DELIVERY;
        if self.is_settled(at, time) && is_announced {
            return Some("refused a good token, though nothing was broken");
        }
        let answers = match node.state() {
            FeedState::NoSnapshot => false,
            FeedState::Following => true,
            FeedState::Stale => node.on_stale == OnStale::UntilExpiry,
        };
        let knows_key = node.ledger.keys.contains(&token.key);
        (answers && knows_key && self.knows_the_time(database, node))
            .then_some("refused a good token, though it knew enough")
    }
}

/// A live session's, issued after the last revocation of its subject, unexpired by the issuer's time, signed by a published key.
fn is_good(database: &Database, token: &Token, time: Millis) -> bool {
    token.revoked_at(database).is_none()
        && !database.is_before_revocation(token.session, token.issued_at_s)
        && database.keys[token.key].state != KeyState::Deleted
        && token.is_alive(database.now_s(time))
}
