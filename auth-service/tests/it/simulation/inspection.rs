//! At the end, when everything has been well for a while: nobody has missed anything.

use std::collections::BTreeSet;

use auth_service::revocations::{Revocation, RevocationTarget};
use token_verifier::{FeedState, RevocationKeys};

use super::database::true_time;
use super::node::{GATEWAY, NODES, Node, is_revoked};
use super::world::World;

impl World {
    pub(super) fn inspect(&mut self) {
        for node in 0..NODES {
            let found = self.fault_of(node);
            if let Some(found) = found {
                let node = &self.nodes[node];
                let (what, token) = (format!("at the end {found}"), usize::MAX);
                self.referee.accuse(self.time, &what, token, node);
            }
        }
        for person in 0..self.people.len() {
            let Some(session) = self.people[person].session else {
                continue;
            };
            for service in 1..NODES {
                let token = self.issue(session, service);
                self.arrive(token, service, true);
                self.look_up(token);
            }
        }
    }

    fn fault_of(&mut self, at: usize) -> Option<String> {
        let now_s = self.database.now_s(self.time);
        let node = self.node(at);
        if node.state() != FeedState::Following || !node.is_caught_up() {
            return Some("it does not follow".to_owned());
        }
        let node = &self.nodes[at];
        let rows = &self.database.rows;
        // What was dropped by a clock that was ahead then need not come back.
        let since = self
            .database
            .now(self.database.clock_set_at().unwrap_or_default());
        let until = self.database.now(self.time);
        let alive = || {
            rows.iter()
                .filter(move |row| row.expires_at_s > now_s + 1)
                .filter(move |row| (since..=until).contains(&row.revoked_at))
        };
        if let Some(row) = alive().find(|row| !self.knows(node, row)) {
            return Some(format!("it lacks an entry of the log: {row:?}"));
        }
        let distinct = |rows: &mut dyn Iterator<Item = &Revocation>| {
            rows.map(|row| format!("{:?}", name(row)))
                .collect::<BTreeSet<_>>()
                .len()
        };
        let least = distinct(&mut alive());
        // The gateway has notes of its own.
        let is_exact = at != GATEWAY && self.database.clock_set_at().is_none();
        let most = distinct(&mut rows.iter());
        let held = node.revocations.len();
        if held < least || is_exact && held > most {
            return Some(format!("it holds {held} entries, not {least} to {most}"));
        }
        None
    }

    fn knows(&self, node: &Node, row: &Revocation) -> bool {
        let (time, nobody) = (true_time(0), "usr_nobody");
        let keys = match &row.target {
            RevocationTarget::Session(id) => {
                RevocationKeys::new(Some(&id.to_string()), nobody, "none", time)
            }
            RevocationTarget::Subject {
                subject,
                issued_before_s,
            } => {
                let before = jiff::Timestamp::from_second(issued_before_s - 1).unwrap();
                RevocationKeys::new(None, subject.as_str(), "none", before)
            }
            RevocationTarget::Key(kid) => RevocationKeys::new(None, nobody, kid, time),
        };
        node.revocations.check(&keys).is_err_and(is_revoked)
    }
}

/// What an entry is about: later entries about the same are one with it.
fn name(row: &Revocation) -> String {
    match &row.target {
        RevocationTarget::Session(id) => id.to_string(),
        RevocationTarget::Subject { subject, .. } => subject.to_string(),
        RevocationTarget::Key(kid) => kid.clone(),
    }
}
