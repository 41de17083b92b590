//! What one client may cost.

use std::time::Duration;

use super::Counters;
use crate::settings::Section;

/// Bounds of a server. The defaults suit a public listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the moment a head is expected until it is complete. On an HTTP/1.1
    /// connection this also bounds the pause between two requests.
    pub header_read_timeout: Duration,
    /// A connection without a request for so long is closed.
    pub idle_timeout: Duration,
    /// A client that reads nothing of its response for so long is cut off.
    pub write_timeout: Duration,
    /// Connections at one time; one more is closed at once.
    pub max_connections: usize,
    /// Connections at one time from one address (IPv6: from one /64).
    pub max_connections_per_address: usize,
    /// Header lines of a request; more are answered with 431.
    pub max_headers: usize,
    /// Bytes of a request's head; more are answered with 431. At least 8 KiB.
    pub max_header_bytes: usize,
    /// Bytes of a request's target; more are answered with 414.
    pub max_uri_bytes: usize,
    /// Requests at one time on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Streams that a client opened and reset before they were looked at
    /// (CVE-2023-44487), before the connection is closed.
    pub max_reset_streams: usize,
    /// Streams reset for the client's errors in the whole life of a connection, before
    /// it is closed. `None` is for connections that many people's requests share.
    pub max_error_resets: Option<usize>,
    /// HTTP/2 connections are pinged so often, and closed when no answer comes within
    /// the same time.
    pub keep_alive: Duration,
    /// Speaks HTTP/2 only; anything else is closed.
    pub http2_only: bool,
    /// On shutdown, how long requests in flight get to finish.
    pub drain: Duration,
    /// On shutdown, how long an idle connection stays open for a request that may be
    /// on its way; its response then says that the connection ends.
    pub linger: Duration,
    /// What happened to connections. Register them to see them.
    pub counters: Counters,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A head is a few packets; a phone on a bad line needs seconds, not a minute.
            header_read_timeout: Duration::from_secs(20),
            // Above the usual 60 s of proxies, so that they close first and no
            // request of theirs crosses with our closing.
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            max_connections: 4096,
            max_connections_per_address: 512,
            max_headers: 100,
            // A session cookie, trace context and a browser's usual lines are 2 KiB.
            max_header_bytes: 16 << 10,
            max_uri_bytes: 8 << 10,
            max_concurrent_streams: 128,
            // h2's own default, as the next one.
            max_reset_streams: 20,
            max_error_resets: Some(1024),
            keep_alive: Duration::from_secs(20),
            http2_only: false,
            // Below the 30 s that orchestrators usually wait before they kill.
            drain: Duration::from_secs(25),
            linger: Duration::from_secs(1),
            counters: Counters::default(),
        }
    }
}

/// Less than this is a mistake: hyper's parser needs so much room.
const MIN_HEADER_BYTES: usize = 8 << 10;

impl Limits {
    /// Reads the limits' settings, with `self` as defaults.
    #[must_use]
    pub fn read(self, section: &mut Section<'_>) -> Self {
        let limits = Self {
            header_read_timeout: section.duration("header_read_timeout", self.header_read_timeout),
            idle_timeout: section.duration("idle_timeout", self.idle_timeout),
            write_timeout: section.duration("write_timeout", self.write_timeout),
            max_connections: section.value("max_connections", self.max_connections),
            max_connections_per_address: section.value(
                "max_connections_per_address",
                self.max_connections_per_address,
            ),
            max_headers: section.value("max_headers", self.max_headers),
            max_header_bytes: section.size("max_header_bytes", self.max_header_bytes),
            max_uri_bytes: section.size("max_uri_bytes", self.max_uri_bytes),
            max_concurrent_streams: section
                .value("max_concurrent_streams", self.max_concurrent_streams),
            max_reset_streams: section.value("max_reset_streams", self.max_reset_streams),
            keep_alive: section.duration("keep_alive", self.keep_alive),
            drain: section.duration("drain", self.drain),
            linger: section.duration("linger", self.linger),
            ..self
        };
        limits.check(section);
        limits
    }

    fn check(&self, section: &mut Section<'_>) {
        if self.max_header_bytes < MIN_HEADER_BYTES {
            section.problem("max_header_bytes", "must be at least 8KiB");
        }
        if self.max_header_bytes > u32::MAX as usize {
            section.problem("max_header_bytes", "must be less than 4GiB");
        }
        let durations = [
            ("header_read_timeout", self.header_read_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
            ("keep_alive", self.keep_alive),
        ];
        for (key, duration) in durations {
            if duration.is_zero() {
                section.problem(key, "must be more than nothing");
            }
        }
        let counts = [
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address,
            ),
            ("max_headers", self.max_headers),
            (
                "max_concurrent_streams",
                self.max_concurrent_streams as usize,
            ),
        ];
        for (key, count) in counts {
            if count == 0 {
                section.problem(key, "must be at least 1");
            }
        }
    }

    /// The size of a head as the parsers take it.
    pub(super) fn header_bytes(&self) -> usize {
        self.max_header_bytes.max(MIN_HEADER_BYTES)
    }
}
