//! What people do, what thieves do, and what ends: requests, replays, revocations.

use token_verifier::VerifyError;

use super::node::{GATEWAY, NODES, Unusable, is_revoked};
use super::referee::{Token, Verdict};
use super::schedule::{Event, Exchange};
use super::world::{INSTANCES, MENDED, QUIET, World};

/// At most so many accounts are disabled: somebody must be left to click.
const MOST_DISABLED: usize = 2;

impl World {
    /// Somebody clicks.
    pub(super) fn request(&mut self) {
        self.again_within(100, 500, Event::Request);
        let person = self.rng.index(self.people.len());
        if self.people[person].is_disabled || self.nodes[GATEWAY].is_paused {
            return;
        }
        let session = match self.people[person].session {
            Some(session) => session,
            None => self.database.sign_in(person, &mut self.rng),
        };
        self.people[person].session = Some(session);
        let service = self.service();
        match self.node(GATEWAY).cached(session, service) {
            Err(Unusable::Absent) => self.exchange(session, service, false),
            decision => self.forward(decision, (session, service), false),
        }
    }

    fn service(&mut self) -> usize {
        self.rng.range(1, NODES as u64) as usize
    }

    /// The gateway has decided about a token that it holds.
    fn forward(
        &mut self,
        decision: Result<usize, Unusable>,
        (session, service): (usize, usize),
        is_retry: bool,
    ) {
        match decision {
            Ok(token) => {
                self.judge(GATEWAY, token, &Ok(()));
                let arrival = Event::Arrive {
                    token,
                    node: service,
                    retry: is_retry,
                };
                self.again_within(1, 20, arrival);
            }
            Err(Unusable::Absent) => {}
            Err(Unusable::Revoked(token)) => {
                self.judge(GATEWAY, token, &Err(VerifyError::Revoked));
                if !is_retry {
                    self.exchange(session, service, true);
                }
            }
            Err(Unusable::Unavailable(token)) => {
                self.judge(GATEWAY, token, &Err(VerifyError::RevocationsUnavailable));
            }
        }
    }

    /// The gateway asks the auth service, which reads the clock, then the session.
    fn exchange(&mut self, session: usize, service: usize, is_retry: bool) {
        let instance = self.rng.index(INSTANCES);
        if !self.reaches(GATEWAY, instance) || !self.instances[instance].can_read() {
            // 503; the cookie stays.
            self.coverage.count("exchange failed");
            return;
        }
        let is_live = self.database.sessions[session].ended_at.is_none();
        let token = is_live.then(|| self.issue(session, service));
        let answer = Event::Exchanged(Exchange {
            session,
            node: service,
            life: self.nodes[GATEWAY].life,
            asked_at: self.time,
            token,
            retry: is_retry,
        });
        let longest = if self.rng.chance(10) { 3_000 } else { 60 };
        self.again_within(1, longest, answer);
    }

    pub(super) fn issue(&mut self, session: usize, service: usize) -> usize {
        let audience = self.nodes[service].audience;
        let issued = self.database.issue(session, audience, self.time);
        self.referee.tokens.push(Token {
            text: issued.text,
            session,
            node: service,
            key: issued.key,
            issued_at: self.time,
            issued_at_s: issued.issued_at_s,
        });
        self.referee.tokens.len() - 1
    }

    pub(super) fn exchanged(&mut self, exchange: Exchange) {
        if exchange.life != self.nodes[GATEWAY].life {
            return;
        }
        if self.nodes[GATEWAY].is_paused {
            self.again(100, Event::Exchanged(exchange));
            return;
        }
        // Without a token: SESSION_INVALID, as the client deserves.
        let Some(token) = exchange.token else { return };
        let keys = self.referee.tokens[token].revocation_keys(&self.database);
        let decision = self.node(GATEWAY).keep(&exchange, token, keys);
        if matches!(decision, Err(Unusable::Revoked(_))) {
            self.coverage.count("exchange overtaken by a revocation");
        }
        let of = (exchange.session, exchange.node);
        self.forward(decision, of, exchange.retry);
    }

    /// A request is at the service. What that refuses, the gateway tries once more.
    pub(super) fn arrive(&mut self, token: usize, service: usize, is_retry: bool) {
        if self.nodes[service].is_paused {
            return;
        }
        let verdict = self.verify(service, token);
        let is_refused = match &verdict {
            Ok(()) => false,
            Err(VerifyError::RevocationsUnavailable | VerifyError::KeysUnavailable) => false,
            Err(_) => true,
        };
        if is_refused && !is_retry && !self.nodes[GATEWAY].is_paused {
            let session = self.referee.tokens[token].session;
            self.node(GATEWAY).forget(session, service);
            self.exchange(session, service, true);
        }
    }

    fn verify(&mut self, service: usize, token: usize) -> Verdict {
        let node = &mut self.nodes[service];
        node.sync(self.time);
        let verdict = node.verifier.verify(&self.referee.tokens[token].text);
        let verdict = verdict.map(drop);
        self.judge(service, token, &verdict);
        verdict
    }

    fn judge(&mut self, at: usize, token: usize, verdict: &Verdict) {
        self.nodes[at].sync(self.time);
        let node = (at, &self.nodes[at]);
        self.coverage.count(match verdict {
            Ok(()) if node.1.state() == token_verifier::FeedState::Stale => "served while stale",
            Ok(()) => "served",
            Err(VerifyError::Revoked) => "refused as revoked",
            Err(VerifyError::RevocationsUnavailable) => "refused as unavailable",
            Err(VerifyError::Expired) => "refused as expired",
            Err(_) => "refused otherwise",
        });
        self.referee
            .judge(&self.database, node, token, verdict, self.time);
    }

    /// A token that somebody kept is shown again.
    pub(super) fn replay(&mut self) {
        self.again_within(150, 850, Event::Replay);
        let issued = self.referee.tokens.len();
        if issued == 0 {
            return;
        }
        let token = issued - 1 - self.rng.index(issued.min(25));
        let service = self.referee.tokens[token].node;
        if !self.nodes[service].is_paused {
            let first = self.verify(service, token);
            // The second time it is one that the verifier remembers.
            if first.is_ok() && self.verify(service, token).is_err() {
                let node = &self.nodes[service];
                let what = "decided differently at the same moment";
                self.referee.accuse(self.time, what, token, node);
            }
        }
        self.look_up(token);
    }

    /// What the gateway would say of a token that is alive, had it cached that.
    pub(super) fn look_up(&mut self, token: usize) {
        let shown = &self.referee.tokens[token];
        if self.nodes[GATEWAY].is_paused || !shown.is_alive(self.database.now_s(self.time)) {
            return;
        }
        let keys = shown.revocation_keys(&self.database);
        let verdict = match self.node(GATEWAY).revocations.check(&keys) {
            Ok(()) => Ok(()),
            Err(error) if is_revoked(error) => Err(VerifyError::Revoked),
            Err(_) => Err(VerifyError::RevocationsUnavailable),
        };
        self.judge(GATEWAY, token, &verdict);
    }

    /// Something is revoked, by whichever instance can.
    pub(super) fn revoke(&mut self) {
        self.again_within(400, 2_500, Event::Revoke);
        let instance = self.rng.index(INSTANCES);
        if self.time >= QUIET || !self.instances[instance].can_read() {
            return;
        }
        let person = self.rng.index(self.people.len());
        match self.rng.range(0, 100) {
            0..70 => self.log_out(person, instance),
            70..86 => {
                self.count("subject revoked", person);
                self.database.revoke_subject(person, self.time);
                self.people[person].session = None;
            }
            86..94 => self.disable(person),
            _ if self.time < MENDED && self.database.revoke_active_key(self.time) => {
                self.count("key revoked", self.database.active());
            }
            _ => {}
        }
        // The instance that committed wakes its own watchers at once; others poll.
        self.publish(instance);
    }

    fn log_out(&mut self, person: usize, instance: usize) {
        let Some(session) = self.people[person].session.take() else {
            return;
        };
        self.count("session revoked", session);
        self.database.end_session(session, self.time);
        let through_gateway = self.rng.chance(50) && self.reaches(GATEWAY, instance);
        if through_gateway {
            let life = self.nodes[GATEWAY].life;
            self.again_within(1, 100, Event::Ended { session, life });
        }
    }

    fn disable(&mut self, person: usize) {
        let disabled = self.people.iter().filter(|person| person.is_disabled);
        if disabled.count() >= MOST_DISABLED {
            return;
        }
        self.count("account disabled", person);
        self.database.disable(person, self.time);
        self.people[person].session = None;
        self.people[person].is_disabled = true;
    }

    /// The gateway that asked for a logout hears that it happened.
    pub(super) fn ended(&mut self, session: usize, life: u64) {
        let is_same_life = self.nodes[GATEWAY].life == life;
        if is_same_life && !self.nodes[GATEWAY].is_paused {
            let name = self.database.sessions[session].name.clone();
            self.node(GATEWAY).revocations.note_session_ended(&name);
        }
    }
}
