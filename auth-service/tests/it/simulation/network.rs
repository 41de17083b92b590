//! The feed between instances and followers: connections, messages, and what a driver
//! does about them.

use std::time::Duration;

use proto::auth::v1::{WatchResponse, watch_response::Event as Message};
use token_verifier::{FeedState, Resync};

use super::node::HEARTBEAT_TIMEOUT;
use super::referee::LONGEST_DELAY;
use super::schedule::{Event, Millis};
use super::server::{Connection, News, Next, Packet};
use super::world::{INSTANCES, MENDED, World};

/// How long a driver waits for an answer, or for the next part of a snapshot.
const CATCH_UP_PATIENCE: Millis = 10_000;

/// The longest pause of a driver between two attempts.
const LONGEST_PAUSE: Millis = 1_000;

impl World {
    /// An instance looks into the log and tells its watchers what is new.
    pub(super) fn publish(&mut self, instance: usize) {
        let at = &mut self.instances[instance];
        let news = at.round(&self.database, self.time, self.sabotage);
        for news in news {
            self.broadcast(instance, &news);
        }
    }

    fn broadcast(&mut self, instance: usize, news: &News) {
        for at in 0..self.connections.len() {
            let connection = &mut self.connections[at];
            if connection.is_watched() && connection.instance == instance {
                connection.tell(news.clone(), self.time);
                self.pump(at);
            }
        }
    }

    /// Lets a watcher have what is next, as much as the connection takes.
    fn pump(&mut self, at: usize) {
        let instance = &self.instances[self.connections[at].instance];
        let can_read = instance.can_read();
        while let Some(next) = self.connections[at].next(&self.database, self.time, can_read) {
            let is_end = match &next {
                Next::Message(..) => false,
                Next::End(why) => {
                    self.count(why, at);
                    true
                }
            };
            self.send(at, next);
            if is_end {
                break;
            }
        }
    }

    /// Puts a message on its way.
    pub(super) fn send(&mut self, at: usize, next: Next) {
        let delay = self.delay();
        let connection = &mut self.connections[at];
        let last = connection.pipe.back().map_or(0, |last| last.arrives_at);
        let arrives_at = last.max(self.time + delay);
        let (event, as_of) = match next {
            Next::Message(event, as_of) => (Some(event), as_of),
            Next::End(_) => (None, self.time),
        };
        connection.pipe.push_back(Packet {
            sent_at: self.time,
            as_of,
            arrives_at,
            message: event.map(|event| WatchResponse { event: Some(event) }),
            key_version: self.database.key_version,
        });
        self.schedule.at(arrives_at, Event::Deliver(at));
    }

    fn delay(&mut self) -> Millis {
        match self.rng.range(0, 50) {
            0 if self.time < MENDED => self.rng.range(50, LONGEST_DELAY - 500),
            0..10 => self.rng.range(10, 100),
            _ => self.rng.range(1, 10),
        }
    }

    /// A follower's question arrives.
    pub(super) fn watch(&mut self, at: usize) {
        let connection = &self.connections[at];
        if !connection.is_followed {
            return;
        }
        let (node, instance) = (connection.node, connection.instance);
        if !self.reaches(node, instance) || !self.instances[instance].can_read() {
            self.fail(at);
            return;
        }
        let sabotage = self.sabotage;
        let opening = self.connections[at].open(&self.database, self.time, sabotage);
        let resumed = opening.after_seq > 0;
        self.count(if resumed { "resumed" } else { "snapshot" }, node);
        self.send(at, Next::Message(Message::Opening(opening), self.time));
        self.pump(at);
    }

    /// The connection breaks, and both ends notice.
    pub(super) fn fail(&mut self, at: usize) {
        let (node, was_followed) = {
            let connection = &mut self.connections[at];
            let was_followed = connection.is_followed;
            connection.end();
            (connection.node, was_followed)
        };
        if was_followed && self.nodes[node].connection == Some(at) {
            self.reconnect(node);
        }
    }

    pub(super) fn connect(&mut self, node: usize, life: u64) {
        if self.nodes[node].life != life || self.nodes[node].connection.is_some() {
            return;
        }
        if self.nodes[node].is_paused {
            self.again(100, Event::Connect { node, life });
            return;
        }
        let instance = self.rng.index(INSTANCES);
        let request = self.node(node).request();
        let at = self.connections.len();
        self.connections
            .push(Connection::new(node, instance, request));
        self.nodes[node].connection = Some(at);
        self.nodes[node].heard_at = self.time;
        let delay = self.delay();
        self.again(delay, Event::Watch(at));
    }

    /// The driver's pause: doubled up to its longest, and a random part of it.
    fn reconnect(&mut self, node: usize) {
        let node_at = self.node(node);
        node_at.disconnected();
        node_at.failures += 1;
        let (life, failures) = (node_at.life, node_at.failures);
        let longest = LONGEST_PAUSE.min(50 << failures.min(5));
        self.again_within(1, longest, Event::Connect { node, life });
    }

    pub(super) fn tick(&mut self, node: usize) {
        let time = self.time;
        if self.nodes[node].is_paused {
            return;
        }
        let node_at = self.node(node);
        node_at.tick();
        let patience = if node_at.is_caught_up() {
            HEARTBEAT_TIMEOUT
        } else {
            Duration::from_millis(CATCH_UP_PATIENCE)
        };
        let silence = Duration::from_millis(time - node_at.heard_at);
        if let Some(at) = node_at.connection.filter(|_| silence >= patience) {
            self.count("resync silent", node);
            self.connections[at].end();
            self.reconnect(node);
        }
    }

    /// The next message arrives, if nothing is in its way.
    pub(super) fn deliver(&mut self, at: usize) {
        let connection = &self.connections[at];
        let (node, instance) = (connection.node, connection.instance);
        if !connection.is_followed || self.nodes[node].is_paused || !self.reaches(node, instance) {
            return;
        }
        let Some(packet) = self.take(at) else { return };
        match packet.message.clone() {
            None => {
                self.count("resync ended", node);
                self.fail(at);
            }
            Some(message) => {
                let Some(message) = self.spoil(node, message) else {
                    return;
                };
                self.nodes[node].heard_at = self.time;
                let outcome = self.node(node).apply(message);
                self.note(at, &packet, outcome);
                if self.connections[at].is_watched() {
                    self.pump(at);
                }
            }
        }
    }

    /// The first message in the pipe, or what a network that keeps no order makes of it.
    fn take(&mut self, at: usize) -> Option<Packet> {
        let is_messy = self.is_messy && self.time < MENDED;
        let mess = is_messy.then(|| self.rng.range(0, 100));
        let pipe = &mut self.connections[at].pipe;
        if pipe.front()?.arrives_at > self.time {
            return None;
        }
        let packet = pipe.pop_front()?;
        if !may_be_repeated(&packet) {
            return Some(packet);
        }
        if mess.is_some_and(|mess| mess < 10) {
            self.referee.disturb(self.connections[at].node, self.time);
        }
        let pipe = &mut self.connections[at].pipe;
        match mess {
            Some(0..3) => {
                self.coverage.count("message duplicated");
                pipe.push_front(packet.clone());
                self.schedule.at(self.time, Event::Deliver(at));
            }
            Some(3..6) => {
                self.coverage.count("message repeated late");
                let mut late = packet.clone();
                late.arrives_at = self.time;
                let after = self.rng.range(10, 1_000);
                pipe.push_back(late);
                self.schedule.at(self.time + after, Event::Deliver(at));
            }
            Some(6..10) if pipe.front().is_some_and(may_be_repeated) => {
                self.coverage.count("message reordered");
                let second = pipe.pop_front()?;
                pipe.push_front(packet);
                self.schedule.at(self.time, Event::Deliver(at));
                return Some(second);
            }
            _ => {}
        }
        Some(packet)
    }

    fn spoil(&mut self, node: usize, message: WatchResponse) -> Option<WatchResponse> {
        let Some(sabotage) = self.sabotage else {
            return Some(message);
        };
        let node = self.node(node);
        let (through, wall_us) = (node.through(), node.wall_us());
        sabotage.spoil(message, through, wall_us, &mut self.rng)
    }

    /// Writes down what the node was really told.
    fn note(&mut self, at: usize, packet: &Packet, outcome: Result<(), Resync>) {
        let node = self.connections[at].node;
        if let Err(resync) = outcome {
            let what = match resync {
                Resync::Gap { .. } => "resync gap",
                Resync::Late => "resync late",
                Resync::Opening => "resync opening",
                _ => "resync otherwise",
            };
            self.count(what, node);
            self.fail(at);
            return;
        }
        let keys = self.database.published_in(packet.key_version);
        let node = &mut self.nodes[node];
        let told = packet
            .message
            .as_ref()
            .and_then(|message| message.event.as_ref());
        match told {
            Some(Message::Opening(opening)) => {
                node.ledger.opened_at = Some(packet.as_of);
                if opening.after_seq == 0 {
                    node.ledger.snapshot_at = Some(packet.as_of);
                }
            }
            Some(Message::KeySet(_)) => node.ledger.keys = keys,
            _ => {}
        }
        if node.is_caught_up() {
            node.failures = 0;
            let is_heartbeat = matches!(told, Some(Message::Heartbeat(_)));
            let heard = is_heartbeat.then_some(packet.as_of);
            let proof = node.ledger.opened_at.max(heard);
            if node.state() == FeedState::Following {
                node.ledger.proof_at = node.ledger.proof_at.max(proof);
            }
        }
    }
}

/// Keys come as they are published: only the transport could mix them up, and it does not.
/// What is repeated are the messages that followers count.
fn may_be_repeated(packet: &Packet) -> bool {
    let event = packet
        .message
        .as_ref()
        .and_then(|message| message.event.as_ref());
    event.is_some_and(|event| !matches!(event, Message::KeySet(_)))
}
