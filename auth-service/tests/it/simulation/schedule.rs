//! Simulated time: what happens next, and in which order what happens at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Milliseconds since the simulation began.
pub(super) type Millis = u64;

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// An instance looks for rows that others wrote, and at its clock.
    HubPoll(usize),
    /// The next message of a connection may arrive.
    Deliver(usize),
    /// The server hears of a connection that a follower wants.
    Watch(usize),
    /// A follower tries to connect, if it is still the same life of that node.
    Connect { node: usize, life: u64 },
    /// A follower looks at its clock.
    Tick(usize),
    /// A person does something.
    Request,
    /// The auth service answers an exchange.
    Exchanged(Exchange),
    /// A request reaches the service behind the gateway.
    Arrive {
        token: usize,
        node: usize,
        retry: bool,
    },
    /// Somebody shows a token that they should not have kept.
    Replay,
    /// A session, a subject or a key is revoked.
    Revoke,
    /// The instance that ended a session says so to the gateway that asked.
    Ended { session: usize, life: u64 },
    /// A signing key is made, or the next step of one is due.
    RotateKeys,
    /// Rows and keys that concern no living token go.
    Prune,
    /// Something breaks.
    Break,
    /// What broke is mended.
    Mend(Broken),
}

/// An exchange on its way back to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exchange {
    pub(super) session: usize,
    /// The service that the token is for.
    pub(super) node: usize,
    /// The gateway's life in which it asked, and its steady clock then.
    pub(super) life: u64,
    pub(super) asked_at: Millis,
    /// `None`: the session is not live.
    pub(super) token: Option<usize>,
    pub(super) retry: bool,
}

/// What will be mended again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Broken {
    /// No packet passes between a node and an instance.
    Link { node: usize, instance: usize },
    /// An instance is down.
    Instance(usize),
    /// An instance cannot reach the database.
    Database(usize),
    /// A node is stopped, as by SIGSTOP.
    Node(usize),
}

/// Events in the order of their time; at one time, in the order of their planning.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    heap: BinaryHeap<Reverse<(Millis, u64, Event)>>,
    planned: u64,
}

impl Schedule {
    pub(super) fn at(&mut self, time: Millis, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((time, self.planned, event)));
    }

    pub(super) fn next(&mut self) -> Option<(Millis, Event)> {
        self.heap
            .pop()
            .map(|Reverse((time, _, event))| (time, event))
    }
}
