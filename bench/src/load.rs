//! A closed-loop HTTP/1.1 load generator: each connection sends one request,
//! waits for the whole answer, and sends the next.
//!
//! It is written by hand because it shares the cores with what it measures: a
//! client that parses little leaves more of them to the server, and the same
//! for every target.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// Largest answer head and body that a target may give.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// One thing to measure.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Where it listens; always loopback.
    pub(crate) address: SocketAddr,
    /// The whole request as it goes over the wire.
    pub(crate) request: Vec<u8>,
}

impl Target {
    /// A GET of `path`, with a session cookie if there is one.
    pub(crate) fn get(name: &'static str, port: u16, path: &str, cookie: Option<&str>) -> Self {
        let cookie = cookie.map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{cookie}\r\n");
        Self {
            name,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            request: request.into_bytes(),
        }
    }
}

/// What one round against one target showed.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Answers with status 200.
    pub(crate) answered: u64,
    /// How long the round took.
    pub(crate) elapsed: Duration,
    /// Time of each answer in microseconds, unsorted.
    pub(crate) latencies_us: Vec<u32>,
}

impl Round {
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency, in microseconds, that the given share of answers stayed within.
    pub(crate) fn percentile_us(&mut self, share: f64) -> u32 {
        if self.latencies_us.is_empty() {
            return 0;
        }
        self.latencies_us.sort_unstable();
        let last = self.latencies_us.len() - 1;
        self.latencies_us[(last as f64 * share).round() as usize]
    }
}

/// Drives `connections` connections against `target` for about `length`.
///
/// # Errors
/// Any answer but 200, or a connection that breaks: a benchmark of errors is none.
pub(crate) async fn drive(
    target: &Target,
    connections: usize,
    length: Duration,
) -> anyhow::Result<Round> {
    ensure!(
        target.address.ip().is_loopback(),
        "load goes to loopback addresses only"
    );
    let started = Instant::now();
    let end = started + length;
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let target = target.clone();
        tasks.spawn(async move { drive_one(&target, end).await });
    }
    let mut round = Round::default();
    while let Some(latencies) = tasks.join_next().await {
        let latencies = latencies?.with_context(|| format!("while driving {}", target.name))?;
        round.answered += latencies.len() as u64;
        round.latencies_us.extend(latencies);
    }
    round.elapsed = started.elapsed();
    Ok(round)
}

async fn drive_one(target: &Target, end: Instant) -> anyhow::Result<Vec<u32>> {
    let mut stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::with_capacity(64 * 1024);
    let mut buffer = Vec::with_capacity(8 * 1024);
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(latencies);
        }
        stream.write_all(&target.request).await?;
        read_answer(&mut stream, &mut buffer).await?;
        latencies.push(sent.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
    }
}

async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    buffer.clear();
    loop {
        if let Some(length) = answer_length(buffer)? {
            if buffer.len() == length {
                return Ok(());
            }
            ensure!(buffer.len() < length, "bytes after the answer");
        }
        ensure!(
            buffer.len() <= MAX_ANSWER_BYTES,
            "an answer of more than {MAX_ANSWER_BYTES} bytes"
        );
        if stream.read_buf(buffer).await? == 0 {
            bail!("the connection was closed");
        }
    }
}

/// The length of the whole answer, once its head is there.
fn answer_length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head_end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..head_end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 200"), "answered {status:?}");
    let body: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without content-length")?
        .1
        .trim()
        .parse()?;
    Ok(Some(head_end + 4 + body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_an_answer_is_whole() {
        assert_eq!(
            answer_length(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap(),
            None
        );
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        assert_eq!(answer_length(answer).unwrap(), Some(answer.len()));
    }

    #[test]
    fn counts_nothing_but_200() {
        assert!(answer_length(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").is_err());
    }

    #[test]
    fn takes_percentiles_of_what_it_saw() {
        let mut round = Round {
            latencies_us: (1..=100).rev().collect(),
            ..Round::default()
        };
        assert_eq!(round.percentile_us(0.0), 1);
        assert_eq!(round.percentile_us(1.0), 100);
        assert_eq!(Round::default().percentile_us(0.5), 0);
    }
}
