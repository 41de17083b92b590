//! Refusing what hyper forgives in an HTTP/1.1 head.
//!
//! hyper reads a head with both `Content-Length` and `Transfer-Encoding` as chunked and
//! hides the length, and takes a bare LF for a line's end. Both are allowed (RFC 9112
//! §6.3, §2.2), and both are how a request is smuggled past a proxy in front of us
//! that reads it the other way. It also drops a fragment from the target, which no
//! request may have (§3.2) and which a proxy may route by. The parsed request does not
//! tell, so the bytes that came in since the last request are kept and looked at, always
//! erring on the side of refusing.
//!
//! In HTTP/2, h2 drops a fragment before anything of ours sees the path.

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
        let seen = look(&recent, request.method().as_str().as_bytes());
        // Every head was recorded; one that is not to be found is not believed either.
        let ambiguous = !seen.found
            || seen.bare_line_feed
            || seen.fragment
            || (request.headers().contains_key(TRANSFER_ENCODING)
                && (has_odd_coding(request) || mentions_length(&recent)));
        // What follows the head may belong to the next one.
        recent.drain(..seen.end);
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

/// What the bytes show about the head of a request.
#[derive(Debug, Default)]
struct Seen {
    /// Something looks like its head.
    found: bool,
    fragment: bool,
    bare_line_feed: bool,
    /// Where the first head that may be the one ends.
    end: usize,
}

/// Looks at everything that could be the head of a request with this method. Which of
/// them is the real one cannot be told: a body before it may contain, and more requests
/// behind it may be, something alike. So what is wrong with one is wrong with all.
fn look(recent: &[u8], method: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut position = 0;
    let mut inside = false;
    for line in recent.split_inclusive(|&byte| byte == b'\n') {
        let Some(text) = line.strip_suffix(b"\n") else {
            // Not all here yet, so it belongs to a later request.
            break;
        };
        position += line.len();
        let stripped = text.strip_suffix(b"\r");
        if let Some(target) = target(stripped.unwrap_or(text), method) {
            seen.found = true;
            seen.fragment |= target.contains(&b'#');
            inside = true;
        }
        if inside {
            seen.bare_line_feed |= stripped.is_none();
            if stripped.unwrap_or(text).is_empty() {
                inside = false;
                if seen.end == 0 {
                    seen.end = position;
                }
            }
        }
    }
    seen
}

/// The target, if the line ends as a request line does. It need not begin as one: the
/// end of a body may stand before it.
fn target<'a>(line: &'a [u8], method: &[u8]) -> Option<&'a [u8]> {
    let mut words = line.rsplitn(3, |&byte| byte == b' ');
    let (version, target, before) = (words.next()?, words.next()?, words.next()?);
    (version.starts_with(b"HTTP/1.") && before.ends_with(method)).then_some(target)
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

/// A stream whose reads are kept in a [`RawHead`].
#[derive(Debug)]
pub(super) struct Recorded<T> {
    inner: T,
    head: Option<RawHead>,
    begun: bool,
}

impl<T> Recorded<T> {
    pub(super) fn new(inner: T, head: RawHead) -> Self {
        Self {
            inner,
            head: Some(head),
            begun: false,
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        // HTTP/2 has none of these ambiguities. Only what a connection begins with is
        // its preface: the same bytes in a body must not end the recording.
        if !self.begun && bytes.starts_with(b"PRI * HTTP/2.0") {
            self.head = None;
        }
        self.begun |= !bytes.is_empty();
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
