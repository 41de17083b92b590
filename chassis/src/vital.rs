//! Work in the background without which a program must not go on: a program whose
//! follower or fetcher is gone looks well, and believes what it knew last for ever.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Starts a program's vital work, and stops the program when some of it is lost: a
/// supervisor starts it anew. Cheap to clone; clones are the same thing.
#[derive(Clone, Debug)]
pub struct Vital {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    until: CancellationToken,
    program: CancellationToken,
    lost: OnceLock<&'static str>,
    tasks: TaskTracker,
}

/// Some of a program's vital work ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} ended by itself")]
pub struct Lost(&'static str);

impl Vital {
    /// The work goes on `until` this. If it is lost before, `program` is cancelled, which
    /// is what a signal to stop cancels.
    #[must_use]
    pub fn new(until: CancellationToken, program: CancellationToken) -> Self {
        let lost = OnceLock::new();
        Self {
            inner: Arc::new(Inner {
                until,
                program,
                lost,
                tasks: TaskTracker::new(),
            }),
        }
    }

    /// Starts some work. `on_loss` is called first thing if it panics or returns.
    pub fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
        on_loss: impl FnOnce() + Send + 'static,
    ) {
        let inner = Arc::clone(&self.inner);
        let mut task = AbortOnDropHandle::new(tokio::spawn(work));
        self.inner.tasks.spawn(async move {
            let Some(ended) = inner.until.run_until_cancelled(&mut task).await else {
                task.abort();
                // However it ended: it was to end.
                let _ = task.await;
                return;
            };
            on_loss();
            let error = ended.err().map(|error| error.to_string());
            tracing::error!(
                reason = "vital_work_lost",
                work = name,
                error,
                "{} and the program stops",
                Lost(name)
            );
            // Before the program stops: it asks then.
            let _ = inner.lost.set(name);
            inner.program.cancel();
        });
    }

    /// Waits until all of it has stopped: from here on it uses nothing of the program's any
    /// more. To be called when it is to stop.
    pub async fn stopped(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Whether all of it is, or was to its end, at work. A program asks when it has
    /// stopped, so that it does not say that all is well.
    ///
    /// # Errors
    ///
    /// [`Lost`].
    pub fn check(&self) -> Result<(), Lost> {
        match self.inner.lost.get() {
            Some(name) => Err(Lost(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
