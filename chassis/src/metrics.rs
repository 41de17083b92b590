//! Counters and histograms of one program, in the OpenMetrics text format.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::{Metric, Registry};

pub use prometheus_client;

/// Upper bounds of the buckets for durations, in seconds: from a cached local
/// answer to the longest deadline that the servers grant.
pub const DURATION_BUCKETS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// A program's registry. Cheap to clone; clones are the same registry.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    names: HashSet<String>,
}

impl Metrics {
    /// Every name gets the prefix `latchkey_`, and every sample the label `program`,
    /// so that four programs in one process can be told apart.
    #[must_use]
    pub fn new(program: &str) -> Self {
        let labels = [("program".into(), program.to_owned().into())];
        let registry = Registry::with_prefix_and_labels("latchkey", labels.into_iter());
        Self {
            inner: Arc::new(Mutex::new(Inner {
                registry,
                names: HashSet::new(),
            })),
        }
    }

    /// Registers a metric and gives it back. Label values must come from a bounded
    /// set: a label that a client chooses is memory that a client fills.
    ///
    /// A name can be taken once; a second metric of that name is reported as our bug
    /// and not shown, because an exposition with duplicates is refused whole.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let mut inner = self.lock();
        if inner.names.insert(name.to_owned()) {
            inner.registry.register(name, help, metric.clone());
        } else {
            tracing::error!(metric = name, "metric {name} is registered twice");
        }
        metric
    }

    /// The exposition, ending in `# EOF`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.lock().registry).expect("writing to a String cannot fail");
        text
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while encoding leaves the registry itself whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
