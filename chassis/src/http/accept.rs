//! Accepting, which must go on whatever happens to single connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::{TcpListener, TcpStream};

use super::{Counters, Limits};
use super::{Place, Places};

/// With no file descriptor left, accepting fails at once and again; a little patience
/// lets other connections end.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
}

pub(super) struct Acceptor {
    listener: TcpListener,
    places: Places,
    counters: Counters,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, limits: &Limits) -> Self {
        Self {
            listener,
            places: Places::new(limits.max_connections, limits.max_connections_per_address),
            counters: limits.counters.clone(),
        }
    }

    /// The next connection that has a place.
    pub(super) async fn accept(&mut self) -> Accepted {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(accepted) = self.admit(stream, peer) {
                        return accepted;
                    }
                }
                Err(error) => self.bear(&error).await,
            }
        }
    }

    /// A connection that is already there, if one is.
    pub(super) fn accept_waiting(&mut self) -> Option<Accepted> {
        loop {
            let (stream, peer) = self.listener.accept().now_or_never()?.ok()?;
            if let Some(accepted) = self.admit(stream, peer) {
                return Some(accepted);
            }
        }
    }

    /// Over a cap the stream is dropped, which closes it.
    fn admit(&self, stream: TcpStream, peer: SocketAddr) -> Option<Accepted> {
        match self.places.take(peer.ip()) {
            Ok(place) => {
                // Responses are written whole; waiting to fill packets only delays them.
                let _ = stream.set_nodelay(true);
                Some(Accepted {
                    stream,
                    peer,
                    place,
                })
            }
            Err(reason) => {
                self.counters.refused(reason);
                tracing::debug!(peer = %peer, reason, "connection over the {reason} cap closed");
                None
            }
        }
    }

    async fn bear(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        let of_one_connection = [
            ConnectionAborted,
            ConnectionRefused,
            ConnectionReset,
            Interrupted,
        ];
        if of_one_connection.contains(&error.kind()) {
            return;
        }
        self.counters.refused("accept_failed");
        tracing::error!(error = %error, "cannot accept connections: {error}");
        tokio::time::sleep(PAUSE).await;
    }
}
