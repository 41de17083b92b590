//! Channels to other programs.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

/// Of all streams of one connection together, in bytes that were not taken yet. h2 ends
/// a connection once small frames worth half of it pile up unread, and a burst of small
/// messages to a reader that was held up for a moment is no attack of our own peer.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Streams given up whose late frames are told from nonsense, as many as may be open.
const REMEMBERED_RESETS: usize = 1024;

/// How a channel behaves.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// For the TCP connection to stand.
    pub connect_timeout: Duration,
    /// For a call until the head of its response: a stream may go on longer. Also sent
    /// as its `grpc-timeout` by calls that set one.
    pub request_timeout: Duration,
    /// Pings on the open connection, and how long their answer may take.
    pub keep_alive: Duration,
    /// Who calls, for the other side's logs.
    pub user_agent: String,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(10),
            user_agent: concat!("latchkey/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why there is no channel to an address.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not `http://host:port`.
    #[error("{address} is not an address like http://localhost:50051")]
    Address {
        /// What was given.
        address: String,
        /// What tonic said of it, if it got that far.
        source: Option<tonic::transport::Error>,
    },
    /// The user agent is no header value.
    #[error("the user agent is not printable ASCII")]
    UserAgent(#[source] tonic::transport::Error),
}

/// A channel to `address` (`http://host:port`). Connects when first used and again
/// whenever it has to, so the other side need not be there yet.
///
/// # Errors
///
/// See [`ConnectError`]. That nobody answers is no error here: calls will say
/// `UNAVAILABLE`.
pub fn connect(address: &str, options: ConnectOptions) -> Result<Channel, ConnectError> {
    let endpoint = endpoint(address)?
        .user_agent(options.user_agent)
        .map_err(ConnectError::UserAgent)?
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .http2_keep_alive_interval(options.keep_alive)
        .keep_alive_timeout(options.keep_alive)
        // A peer that vanished between bursts is noticed before the next one.
        .keep_alive_while_idle(true)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // Each call that is given up resets a stream, and what the other side had already
        // sent on it counts as an error of its. Many people's calls share the connection,
        // so those who hang up must not use it up for the others.
        .http2_max_concurrent_reset_streams(REMEMBERED_RESETS)
        .http2_max_local_error_reset_streams(None)
        .tcp_nodelay(true);
    Ok(endpoint.connect_lazy())
}

/// Whether there can be a channel to `address`.
///
/// # Errors
///
/// See [`ConnectError`].
pub fn check_address(address: &str) -> Result<(), ConnectError> {
    endpoint(address).map(drop)
}

fn endpoint(address: &str) -> Result<Endpoint, ConnectError> {
    let malformed = |source| ConnectError::Address {
        address: address.to_owned(),
        source,
    };
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|e| malformed(Some(e)))?;
    if !is_plain(endpoint.uri()) {
        return Err(malformed(None));
    }
    Ok(endpoint)
}

/// A scheme, a host and perhaps a port, and nothing that would be ignored.
fn is_plain(uri: &http::Uri) -> bool {
    let Some(authority) = uri.authority() else {
        return false;
    };
    let expected = match authority.port_u16() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    };
    let nothing_more = uri.path() == "/" && uri.query().is_none();
    uri.scheme_str() == Some("http") && authority.as_str() == expected && nothing_more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_what_is_no_plain_address() {
        let bad = [
            "",
            "localhost",
            "localhost:50051",
            "https://localhost:1",
            "ftp://localhost:1",
            "http://",
            "http://localhost:50051/path",
            "http://localhost:1/?x=y",
            "http://a b:1",
            "http://localhost:port",
        ];
        for address in bad {
            let error = connect(address, ConnectOptions::default()).unwrap_err();
            assert!(error.to_string().contains(address), "{address:?}: {error}");
        }
    }

    #[tokio::test]
    async fn needs_nobody_at_the_other_end() {
        connect("http://localhost:1", ConnectOptions::default()).unwrap();
        connect("http://[::1]:50051", ConnectOptions::default()).unwrap();
    }
}
