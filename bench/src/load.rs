//! A closed-loop HTTP/1.1 load generator: each connection sends one request,
//! waits for the whole answer, and sends the next.
//!
//! It is written by hand because it shares the cores with what it measures: a
//! client that parses little leaves more of them to the server, and the same
//! for every target.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Largest answer head and body that a target may give.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The status that has no body.
const NO_CONTENT: u16 = 204;
/// Load that nobody stops ends by itself.
const LONGEST_LOAD: Duration = Duration::from_secs(15 * 60);

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

/// Drives `connections` connections against `target` for about `length`, or until `stop`.
///
/// # Errors
/// Any answer but 200, or a connection that breaks: a benchmark of errors is none.
pub(crate) async fn drive(
    target: &Target,
    connections: usize,
    length: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<Round> {
    ensure!(
        target.address.ip().is_loopback(),
        "load goes to loopback addresses only"
    );
    let started = Instant::now();
    let end = started + length;
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (target, stop) = (target.clone(), stop.clone());
        tasks.spawn(async move { drive_one(&target, end, &stop).await });
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

async fn drive_one(
    target: &Target,
    end: Instant,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<u32>> {
    let mut connection = Connection::open(target.address).await?;
    let mut latencies = Vec::with_capacity(64 * 1024);
    loop {
        let sent = Instant::now();
        if sent >= end || stop.is_cancelled() {
            return Ok(latencies);
        }
        let status = connection.ask(&target.request).await?.status;
        ensure!(status == 200, "answered {status}");
        latencies.push(sent.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
    }
}

/// Load beside a measurement, on threads of its own so that the measuring side does not
/// wait behind it for anything but the processors.
pub(crate) struct Background {
    stop: CancellationToken,
    thread: JoinHandle<anyhow::Result<Round>>,
}

impl Background {
    /// Drives each target with as many connections, until it is stopped.
    pub(crate) fn start(targets: Vec<Target>, connections: usize) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(drive_all(targets, connections, stopped))
        });
        Self { stop, thread }
    }

    /// What all targets together answered.
    pub(crate) fn stop(self) -> anyhow::Result<Round> {
        self.stop.cancel();
        match self.thread.join() {
            Ok(round) => round,
            Err(_) => bail!("the load generator panicked"),
        }
    }
}

async fn drive_all(
    targets: Vec<Target>,
    connections: usize,
    stop: CancellationToken,
) -> anyhow::Result<Round> {
    let mut drives = JoinSet::new();
    for target in targets {
        let stop = stop.clone();
        drives.spawn(async move { drive(&target, connections, LONGEST_LOAD, &stop).await });
    }
    let mut all = Round::default();
    while let Some(round) = drives.join_next().await {
        let round = round??;
        all.answered += round.answered;
        all.elapsed = all.elapsed.max(round.elapsed);
        all.latencies_us.extend(round.latencies_us);
    }
    Ok(all)
}

/// A connection that stays open between requests.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let buffer = Vec::with_capacity(8 * 1024);
        Ok(Self { stream, buffer })
    }

    /// Sends a whole request and waits for the whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some(head) = read_head(&self.buffer)? {
                let length = head.length + head.body;
                ensure!(self.buffer.len() <= length, "bytes after the answer");
                if self.buffer.len() == length {
                    return Ok(Answer {
                        status: head.status,
                        body: &self.buffer[head.length..],
                    });
                }
            }
            ensure!(
                self.buffer.len() <= MAX_ANSWER_BYTES,
                "an answer of more than {MAX_ANSWER_BYTES} bytes"
            );
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Its own bytes, with the empty line.
    length: usize,
    /// The bytes that follow it.
    body: usize,
}

/// The head of an answer, once all of it is there.
fn read_head(answer: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let mut lines = std::str::from_utf8(&answer[..end])?.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let status: u16 = status
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .with_context(|| format!("answered {status:?}"))?;
    let body = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let body = match body {
        Some((_, length)) => length.trim().parse()?,
        None if status == NO_CONTENT => 0,
        None => bail!("an answer without content-length"),
    };
    Ok(Some(Head {
        status,
        length: end + 4,
        body,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_an_answer_is_whole() {
        assert_eq!(read_head(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap(), None);
        let head = read_head(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
        let (status, length, body) = (200, 38, 2);
        let expected = Head {
            status,
            length,
            body,
        };
        assert_eq!(head, Some(expected));
        let head = read_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        assert_eq!(head.unwrap().body, 0);
    }

    #[test]
    fn takes_no_answer_of_unknown_length() {
        assert!(read_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(read_head(b"SSH-2.0\r\n\r\n").is_err());
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
