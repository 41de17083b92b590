//! What breaks, and how it is mended.

use super::node::NODES;
use super::schedule::{Broken, Event, Millis};
use super::server::{Connection, Next};
use super::world::{INSTANCES, MENDED, World};

const HOUR_S: i64 = 3600;

/// Sessions of other people that end at once.
const BURST: usize = 45;

impl World {
    pub(super) fn break_something(&mut self) {
        if self.time >= MENDED {
            return;
        }
        self.again_within(300, 4_000, Event::Break);
        match self.rng.range(0, 100) {
            0..22 => self.partition(),
            22..34 => self.cut(),
            34..44 => self.stop_instance(),
            44..52 => self.lose_database(),
            52..62 => self.restart_node(),
            62..72 => self.stop_node(),
            72..86 => self.step_node_clock(),
            86..90 => self.step_issuer_clock(),
            90..92 => self.move_log(),
            _ => self.burst(),
        }
    }

    /// Mostly short, sometimes long, and over when everything is mended.
    fn mend_later(&mut self, longest: Millis, broken: Broken) {
        let longest = if self.rng.chance(60) {
            longest / 6
        } else {
            longest
        };
        let after = self.rng.range(100, longest);
        self.schedule
            .at((self.time + after).min(MENDED), Event::Mend(broken));
    }

    fn disturb_everybody(&mut self) {
        for node in 0..NODES {
            self.referee.disturb(node, self.time);
        }
    }

    fn partition(&mut self) {
        let node = self.rng.index(NODES);
        self.count("partition", node);
        let only = self.rng.chance(40).then(|| self.rng.index(INSTANCES));
        let instances = (0..INSTANCES).filter(|at| only.is_none_or(|only| only == *at));
        self.referee.disturb(node, self.time);
        for instance in instances {
            self.links[node][instance] += 1;
            self.mend_later(15_000, Broken::Link { node, instance });
        }
    }

    fn cut(&mut self) {
        let node = self.rng.index(NODES);
        let connection = self.nodes[node].connection;
        if let Some(at) = connection.filter(|_| !self.nodes[node].is_paused) {
            self.count("connection cut", node);
            self.referee.disturb(node, self.time);
            self.fail(at);
        }
    }

    fn stop_instance(&mut self) {
        let instance = self.rng.index(INSTANCES);
        if !self.instances[instance].is_up {
            return;
        }
        self.count("auth service restart", instance);
        self.disturb_everybody();
        self.instances[instance].is_up = false;
        self.hang_up(instance);
        self.mend_later(9_000, Broken::Instance(instance));
    }

    /// All streams of an instance end; their followers hear of it when they can.
    fn hang_up(&mut self, instance: usize) {
        for at in 0..self.connections.len() {
            let connection = &mut self.connections[at];
            if connection.instance == instance && connection.is_watched() {
                connection.hang_up();
                self.send(at, Next::End("stopping"));
            }
        }
    }

    fn lose_database(&mut self) {
        let instance = self.rng.index(INSTANCES);
        if !self.instances[instance].reaches_database {
            return;
        }
        self.count("database away", instance);
        self.disturb_everybody();
        self.instances[instance].reaches_database = false;
        self.mend_later(9_000, Broken::Database(instance));
    }

    fn restart_node(&mut self) {
        let node = self.rng.index(NODES);
        if self.nodes[node].is_paused {
            return;
        }
        self.count("follower restart", node);
        self.referee.disturb(node, self.time);
        if let Some(at) = self.nodes[node].connection {
            self.connections[at].end();
        }
        self.nodes[node].restart(self.time);
        let life = self.nodes[node].life;
        self.again_within(1, 2_000, Event::Connect { node, life });
    }

    fn stop_node(&mut self) {
        let node = self.rng.index(NODES);
        if self.nodes[node].is_paused {
            return;
        }
        self.count("follower stopped", node);
        self.referee.disturb(node, self.time);
        self.nodes[node].is_paused = true;
        self.mend_later(30_000, Broken::Node(node));
    }

    /// No disturbance: nothing may come of it.
    fn step_node_clock(&mut self) {
        let node = self.rng.index(NODES);
        let forwards = self.rng.chance(50);
        let name = if forwards {
            "follower clock +1 h"
        } else {
            "follower clock -1 h"
        };
        self.count(name, node);
        self.node(node)
            .step_clock(if forwards { HOUR_S } else { -HOUR_S });
    }

    fn step_issuer_clock(&mut self) {
        if !self.sets_issuer_clock {
            return;
        }
        // It goes wrong and is put right, as operators do.
        let forwards = match self.database.clock_offset_s {
            0 => self.rng.chance(50),
            offset => offset < 0,
        };
        let name = if forwards {
            "issuer clock +1 h"
        } else {
            "issuer clock -1 h"
        };
        self.count(name, 0);
        self.disturb_everybody();
        let by_s = if forwards { HOUR_S } else { -HOUR_S };
        self.database.step_clock(by_s, self.time);
    }

    fn move_log(&mut self) {
        self.count("log moved", 0);
        self.disturb_everybody();
        // A database is not replaced while somebody reads it; who reads is cut off.
        for instance in 0..INSTANCES {
            let mut of_it = self.connections.iter().filter(|at| at.instance == instance);
            if of_it.any(Connection::is_catching_up) {
                self.hang_up(instance);
            }
        }
        self.database.move_log(&mut self.rng);
    }

    fn burst(&mut self) {
        self.count("burst of revocations", 0);
        // Whoever is a little slow is dropped and comes again.
        self.disturb_everybody();
        let nobody = self.people.len();
        for at in 0..BURST {
            let session = self.database.sign_in(nobody, &mut self.rng);
            self.database.end_session(session, self.time);
            if at % 4 == 0 {
                self.publish_everywhere();
            }
        }
    }

    pub(super) fn mend(&mut self, broken: Broken) {
        match broken {
            Broken::Link { node, instance } => {
                self.links[node][instance] -= 1;
                self.referee.disturb(node, self.time);
                self.deliver_held_up(node);
            }
            Broken::Instance(instance) => {
                self.disturb_everybody();
                self.instances[instance].restart();
                self.publish(instance);
            }
            Broken::Database(instance) => {
                self.disturb_everybody();
                self.instances[instance].reaches_database = true;
                self.publish(instance);
            }
            Broken::Node(node) => {
                self.referee.disturb(node, self.time);
                self.nodes[node].is_paused = false;
                self.deliver_held_up(node);
                self.again(0, Event::Tick(node));
            }
        }
    }

    /// What waited arrives at once, and requests come between.
    fn deliver_held_up(&mut self, node: usize) {
        let Some(at) = self.nodes[node].connection else {
            return;
        };
        let held_up = self.connections[at].pipe.len() as Millis;
        for place in 0..held_up {
            let at_ms = self.time + place * self.rng.range(1, 20);
            self.schedule.at(at_ms, Event::Deliver(at));
        }
    }
}
