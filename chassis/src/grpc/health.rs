//! `grpc.health.v1.Health`, as ready as the program is.

use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

use crate::readiness::Readiness;

/// A request names a service; nothing longer is one.
const MAX_MESSAGE_BYTES: usize = 1 << 10;

/// Reports for the server as a whole (the empty name) and for each service.
pub(super) struct Reporter {
    reporter: HealthReporter,
    names: Vec<&'static str>,
}

impl Reporter {
    async fn set(&self, ready: bool) {
        let status = match ready {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for name in &self.names {
            self.reporter.set_service_status(*name, status).await;
        }
    }
}

pub(super) async fn service(
    services: impl Iterator<Item = &'static str>,
) -> (HealthServer<impl Health>, Reporter) {
    let (reporter, server) = health_reporter();
    let reporter = Reporter {
        reporter,
        names: std::iter::once("").chain(services).collect(),
    };
    // Not ready until told: nothing may be sent here too early.
    reporter.set(false).await;
    (
        server.max_decoding_message_size(MAX_MESSAGE_BYTES),
        reporter,
    )
}

/// Follows readiness. At `shutdown` it first says `NOT_SERVING` and then starts the
/// drain, so that nobody is sent to a server that is leaving.
pub(super) async fn follow(
    reporter: Reporter,
    readiness: Readiness,
    shutdown: CancellationToken,
    drain: CancellationToken,
) {
    let mut changed = readiness.changed();
    loop {
        let ready = *changed.borrow_and_update();
        reporter.set(ready).await;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            // Cannot fail: `readiness` holds the sender.
            _ = changed.changed() => {}
        }
    }
    readiness.stop();
    reporter.set(false).await;
    drain.cancel();
}
