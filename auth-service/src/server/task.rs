//! A task that the service cannot do without.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One that runs. However it ends, by a panic too, the servers stop: half a service would
/// go on saying that it is well.
pub(super) struct Task {
    name: &'static str,
    handle: JoinHandle<()>,
}

impl Task {
    pub(super) fn spawn(
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
        stop_serving: &CancellationToken,
    ) -> Self {
        let stop = stop_serving.clone().drop_guard();
        let handle = tokio::spawn(async move {
            let _stop = stop;
            work.await;
        });
        Self { name, handle }
    }

    /// Waits for its end; its name, if that was a panic.
    pub(super) async fn ended(self) -> Result<(), &'static str> {
        self.handle.await.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "{} ended by a panic",
                self.name
            );
            self.name
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_stops_the_service_and_is_named() {
        let stop = CancellationToken::new();
        let well = Task::spawn("well", stop.clone().cancelled_owned(), &stop);
        let broken = Task::spawn("broken", async { panic!("as a test") }, &stop);
        stop.cancelled().await;
        assert_eq!(broken.ended().await, Err("broken"));
        assert_eq!(well.ended().await, Ok(()));
    }
}
