//! Everything together: what happens, in which order, and what follows from it.

use token_verifier::OnStale;

use super::coverage::Coverage;
use super::database::Database;
use super::node::{NODES, Node};
use super::referee::Referee;
use super::rng::Rng;
use super::sabotage::Sabotage;
use super::schedule::{Event, Millis, Schedule};
use super::server::{Connection, Instance};

pub(super) const INSTANCES: usize = 2;

/// From here on everything is mended and nothing breaks any more.
pub(super) const MENDED: Millis = 55_000;

/// From here on nothing is revoked any more, so that all of it has arrived at the end.
pub(super) const QUIET: Millis = MENDED + 17_000;

/// How long a whole simulation lasts.
const END: Millis = QUIET + 3_500;

/// The instances look for each other's rows so often.
const POLL: Millis = 250;

const TICK: Millis = 200;

/// One simulation.
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) time: Millis,
    pub(super) schedule: Schedule,
    pub(super) database: Database,
    pub(super) instances: Vec<Instance>,
    pub(super) connections: Vec<Connection>,
    pub(super) nodes: Vec<Node>,
    /// `links[node][instance]`: how many things keep packets from passing.
    pub(super) links: [[u32; INSTANCES]; NODES],
    pub(super) people: Vec<Person>,
    pub(super) referee: Referee,
    pub(super) coverage: Coverage,
    pub(super) sabotage: Option<Sabotage>,
    /// The network also repeats messages and changes their order, which TCP does not.
    pub(super) is_messy: bool,
    /// Somebody may set the auth service's clock.
    pub(super) sets_issuer_clock: bool,
    /// Prints what happens.
    is_told: bool,
}

/// Who signs in.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) session: Option<usize>,
    pub(super) is_disabled: bool,
}

/// Runs one seed to its end, or to the first violation.
pub(super) fn run(seed: u64, sabotage: Option<Sabotage>) -> (Result<(), String>, Coverage) {
    play(World::new(seed, sabotage))
}

/// The same, and tells what happens.
pub(super) fn tell(seed: u64) -> (Result<(), String>, Coverage) {
    let mut world = World::new(seed, None);
    world.is_told = true;
    play(world)
}

fn play(mut world: World) -> (Result<(), String>, Coverage) {
    world.plan();
    let outcome = world.play();
    (outcome, world.coverage)
}

impl World {
    fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let mut rng = Rng::new(seed);
        let database = Database::new(&mut rng);
        let nodes = ["gateway", "cart-service", "profile-service"]
            .map(|audience| {
                let refuses = rng.chance(50);
                Node::new(
                    audience,
                    if refuses {
                        OnStale::Refuse
                    } else {
                        OnStale::UntilExpiry
                    },
                )
            })
            .into();
        Self {
            time: 0,
            schedule: Schedule::default(),
            instances: (0..INSTANCES).map(|_| Instance::new()).collect(),
            database,
            connections: Vec::new(),
            nodes,
            links: Default::default(),
            people: (0..5).map(|_| Person::default()).collect(),
            referee: Referee::default(),
            coverage: Coverage::default(),
            sabotage,
            is_messy: rng.chance(40),
            sets_issuer_clock: rng.chance(25),
            is_told: false,
            rng,
        }
    }

    fn plan(&mut self) {
        for instance in 0..INSTANCES {
            let offset = self.rng.range(0, POLL);
            self.schedule.at(offset, Event::HubPoll(instance));
        }
        for node in 0..NODES {
            let start = self.rng.range(0, 3_000);
            self.schedule.at(start, Event::Connect { node, life: 0 });
            self.schedule.at(start, Event::Tick(node));
        }
        for event in [
            Event::Request,
            Event::Replay,
            Event::Revoke,
            Event::RotateKeys,
            Event::Prune,
            Event::Break,
        ] {
            let start = self.rng.range(1_000, 4_000);
            self.schedule.at(start, event);
        }
    }

    fn play(&mut self) -> Result<(), String> {
        while let Some((time, event)) = self.schedule.next() {
            if time > END {
                break;
            }
            self.time = time;
            self.happen(event);
            if let Some(violation) = self.referee.violation.take() {
                return Err(violation);
            }
        }
        self.time = END;
        self.inspect();
        self.referee.violation.take().map_or(Ok(()), Err)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::HubPoll(instance) => {
                self.publish(instance);
                self.again(POLL, Event::HubPoll(instance));
            }
            Event::Deliver(connection) => self.deliver(connection),
            Event::Watch(connection) => self.watch(connection),
            Event::Connect { node, life } => self.connect(node, life),
            Event::Tick(node) => {
                self.tick(node);
                self.again(TICK, Event::Tick(node));
            }
            Event::Request => self.request(),
            Event::Exchanged(exchange) => self.exchanged(exchange),
            Event::Arrive { token, node, retry } => self.arrive(token, node, retry),
            Event::Replay => self.replay(),
            Event::Revoke => self.revoke(),
            Event::Ended { session, life } => self.ended(session, life),
            Event::RotateKeys => self.rotate_keys(),
            Event::Prune => self.prune(),
            Event::Break => self.break_something(),
            Event::Mend(broken) => self.mend(broken),
        }
    }

    pub(super) fn again(&mut self, after: Millis, event: Event) {
        self.schedule.at(self.time + after, event);
    }

    /// Again within `low..high` milliseconds.
    pub(super) fn again_within(&mut self, low: Millis, high: Millis, event: Event) {
        let after = self.rng.range(low, high);
        self.again(after, event);
    }

    /// The node, and its time.
    pub(super) fn node(&mut self, node: usize) -> &mut Node {
        self.nodes[node].sync(self.time);
        &mut self.nodes[node]
    }

    /// Whether packets pass.
    pub(super) fn reaches(&self, node: usize, instance: usize) -> bool {
        self.links[node][instance] == 0
    }

    /// Counts what happened, and tells it.
    pub(super) fn count(&mut self, what: &'static str, whom: usize) {
        self.coverage.count(what);
        if self.is_told {
            println!("{:>6} ms {what} ({whom})", self.time);
        }
    }

    fn prune(&mut self) {
        self.database.maintain(self.time);
        self.publish_everywhere();
        self.again(1_000, Event::Prune);
    }

    fn rotate_keys(&mut self) {
        if self.database.rotate(self.time) {
            self.coverage.count("key rotated");
            self.publish_everywhere();
        }
        self.again_within(8_000, 25_000, Event::RotateKeys);
    }

    pub(super) fn publish_everywhere(&mut self) {
        for instance in 0..INSTANCES {
            self.publish(instance);
        }
    }
}
