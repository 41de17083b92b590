//! An HTTP server (HTTP/1.1 and HTTP/2 without TLS) that bounds what a stranger can
//! cost: connections, headers, time, streams. Nothing here knows what is served.
//!
//! An accept loop of our own rather than `axum::serve`, which has none of these limits.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

mod accept;
mod connection;
mod counters;
mod limits;
mod places;
mod raw_head;
mod write_timeout;

pub use counters::Counters;
pub use limits::Limits;
pub use places::{Place, Places};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a connection that was told to end after the drain gets to do so.
const FORCED_END: Duration = Duration::from_secs(1);

/// Who is at the other end of the connection; in every request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Why serving ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Some requests were still running when the drain's time was over.
    #[error("{connections} connections were cut off after draining for {drain:?}")]
    Drain {
        /// How many connections still had a request.
        connections: usize,
        /// How long they had.
        drain: Duration,
    },
}

/// Serves until `shutdown`, then finishes what is running, within `limits.drain`.
///
/// On shutdown no new connection is taken. A connection with a request ends after its
/// response; an idle one stays open for `limits.linger`, because closing it at once
/// would cross with the request that its client is sending just now.
///
/// # Errors
///
/// [`ServeError::Drain`] when requests had to be cut off.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    shutdown: CancellationToken,
) -> Result<(), ServeError>
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let connections = TaskTracker::new();
    let cut_off = CancellationToken::new();
    let server = connection::Server::new(service, &limits, shutdown.clone(), cut_off.clone());
    let mut acceptor = accept::Acceptor::new(listener, &limits);
    while let Some(accepted) = shutdown.run_until_cancelled(acceptor.accept()).await {
        connections.spawn(server.clone().run(accepted));
    }
    // What the kernel already accepted for us would be reset by closing the listener.
    while let Some(accepted) = acceptor.accept_waiting() {
        connections.spawn(server.clone().run(accepted));
    }
    drop(acceptor);
    drain(connections, limits.drain, &cut_off).await
}

async fn drain(
    connections: TaskTracker,
    drain: Duration,
    cut_off: &CancellationToken,
) -> Result<(), ServeError> {
    connections.close();
    if tokio::time::timeout(drain, connections.wait())
        .await
        .is_ok()
    {
        return Ok(());
    }
    let left = connections.len();
    cut_off.cancel();
    let _ = tokio::time::timeout(FORCED_END, connections.wait()).await;
    Err(ServeError::Drain {
        connections: left,
        drain,
    })
}

#[cfg(test)]
mod tests;
