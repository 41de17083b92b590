//! Refusing what hyper forgives in an HTTP/1.1 head.
//!
//! hyper reads a head with both `Content-Length` and `Transfer-Encoding` as chunked and
//! hides the length, and takes a bare LF for a line's end. Both are allowed (RFC 9112
//! §6.3, §2.2), and both are how a request is smuggled past a proxy in front of us
//! that reads it the other way. The parsed request does not tell, so the bytes that
//! came in since the last request are kept and looked at, always erring on the side of
//! refusing.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::header::TRANSFER_ENCODING;
use http::{Request, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const CONTENT_LENGTH: &[u8] = b"content-length";

/// The last bytes read from one connection. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct RawHead {
    recent: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl RawHead {
    /// hyper reads at most `header_bytes` past a head, which is no longer than that
    /// itself: twice as much always holds the head that was just parsed.
    pub(super) fn new(header_bytes: usize) -> Self {
        Self {
            recent: Arc::default(),
            room: 2 * header_bytes,
        }
    }

    /// Called with each request, in order: whether its head must be refused.
    pub(super) fn is_ambiguous<B>(&self, request: &Request<B>) -> bool {
        if request.version() == Version::HTTP_2 {
            return false;
        }
        let mut recent = self.lock();
        let (start, end) = locate(&recent, request);
        let ambiguous = has_bare_line_feed(&recent[start..end])
            || (request.headers().contains_key(TRANSFER_ENCODING)
                && (has_odd_coding(request) || mentions_length(&recent)));
        // What follows the head may belong to the next one.
        recent.drain(..end);
        ambiguous
    }

    fn record(&self, bytes: &[u8]) {
        let mut recent = self.lock();
        recent.extend_from_slice(bytes);
        let excess = recent.len().saturating_sub(self.room);
        recent.drain(..excess);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        // Nothing panics while holding it.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the head of `request` is. A client that plants something similar earlier, or
/// whose target is written otherwise than we know it (a fragment, say), makes us look
/// at what came first; the first blank line is never behind the head's own.
fn locate<B>(recent: &[u8], request: &Request<B>) -> (usize, usize) {
    let line = format!("{} {} HTTP/", request.method(), request.uri());
    let start = find(recent, line.as_bytes()).unwrap_or(0);
    let mut end = start;
    for line in recent[start..].split_inclusive(|&byte| byte == b'\n') {
        end += line.len();
        if line == b"\n" || line == b"\r\n" {
            break;
        }
    }
    (start, end)
}

fn has_bare_line_feed(head: &[u8]) -> bool {
    let mut lines = head.split_inclusive(|&byte| byte == b'\n');
    lines.any(|line| !line.ends_with(b"\r\n"))
}

/// Anything but exactly one `chunked`: no other coding is implemented here.
fn has_odd_coding<B>(request: &Request<B>) -> bool {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let first = codings.next().map(http::HeaderValue::as_bytes);
    codings.next().is_some() || !first.is_some_and(|first| first.eq_ignore_ascii_case(b"chunked"))
}

fn mentions_length(recent: &[u8]) -> bool {
    let mut lines = recent.split(|&byte| byte == b'\n');
    lines.any(|line| {
        let name = line.get(..CONTENT_LENGTH.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(CONTENT_LENGTH))
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// A stream whose reads are kept in a [`RawHead`].
#[derive(Debug)]
pub(super) struct Recorded<T> {
    inner: T,
    head: Option<RawHead>,
}

impl<T> Recorded<T> {
    pub(super) fn new(inner: T, head: RawHead) -> Self {
        Self {
            inner,
            head: Some(head),
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        // HTTP/2 has none of these ambiguities, and its preface is unmistakable.
        if bytes.starts_with(b"PRI * HTTP/2.0") {
            self.head = None;
        }
        if let Some(head) = &self.head {
            head.record(bytes);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Recorded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.record(&buffer.filled()[before..]);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Recorded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
