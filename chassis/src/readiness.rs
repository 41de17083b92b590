//! Whether this program should be given work: a set of named gates, all of which
//! must be open. A verifier without keys, a store without its schema: each holds one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The name that [`Readiness::not_ready_names`] gives while the program stops.
const STOPPING: &str = "stopping";

/// All gates of one program. Cheap to clone; clones are the same thing.
#[derive(Clone, Debug)]
pub struct Readiness {
    gates: Arc<Mutex<Gates>>,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Gates {
    gates: Vec<(&'static str, bool)>,
    stopping: bool,
}

/// One condition of readiness, closed until [`Gate::set`] opens it.
#[derive(Clone, Debug)]
pub struct Gate {
    index: usize,
    readiness: Readiness,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// No gates: ready.
    #[must_use]
    pub fn new() -> Self {
        Self {
            gates: Arc::default(),
            ready: watch::Sender::new(true),
        }
    }

    /// Adds a closed gate. Make all of a program's gates before its listeners open.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        let mut gates = self.lock();
        gates.gates.push((name, false));
        let index = gates.gates.len() - 1;
        self.publish(&gates);
        drop(gates);
        Gate {
            index,
            readiness: self.clone(),
        }
    }

    /// Whether every gate is open and nobody said [`stop`](Self::stop).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// The names of closed gates, `stopping` last.
    #[must_use]
    pub fn not_ready_names(&self) -> Vec<&'static str> {
        let gates = self.lock();
        let closed = gates
            .gates
            .iter()
            .filter(|(_, open)| !open)
            .map(|(name, _)| *name);
        closed.chain(gates.stopping.then_some(STOPPING)).collect()
    }

    /// Not ready from here on, whatever the gates do: the first step of every stop.
    pub fn stop(&self) {
        let mut gates = self.lock();
        gates.stopping = true;
        self.publish(&gates);
    }

    /// Follows [`is_ready`](Self::is_ready).
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Waits until ready.
    pub async fn ready(&self) {
        let mut changed = self.changed();
        // Cannot fail: `self` holds the sender.
        let _ = changed.wait_for(|ready| *ready).await;
    }

    fn publish(&self, gates: &Gates) {
        let ready = !gates.stopping && gates.gates.iter().all(|(_, open)| *open);
        self.ready
            .send_if_modified(|current| std::mem::replace(current, ready) != ready);
    }

    fn lock(&self) -> MutexGuard<'_, Gates> {
        // Nothing panics while holding it, and booleans cannot be half written.
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// Opens or closes the gate.
    pub fn set(&self, open: bool) {
        let mut gates = self.readiness.lock();
        gates.gates[self.index].1 = open;
        self.readiness.publish(&gates);
    }
}

#[cfg(test)]
mod tests;
