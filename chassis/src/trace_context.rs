//! W3C Trace Context: who caused this request, so that one request can be followed
//! through all programs. <https://www.w3.org/TR/trace-context/>
//!
//! What comes from outside is parsed strictly or replaced: these values go into
//! every log line.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use rand::Rng;

mod layer;

pub use layer::{Extract, ExtractLayer, Inject, InjectLayer};

/// `traceparent`.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate`.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Version 00: `00-` + 32 + `-` + 16 + `-` + 2.
const LENGTH: usize = 55;
/// The least that the specification asks everybody to propagate (§3.3.1.5).
const MAX_TRACESTATE_BYTES: usize = 512;
const MAX_TRACESTATE_MEMBERS: usize = 32;
const SAMPLED: u8 = 0x01;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A position in a trace: the trace, this program's span in it, and flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// The root of a new trace.
    #[must_use]
    pub fn new() -> Self {
        Self {
            trace_id: random_id(),
            span_id: random_id(),
            flags: SAMPLED,
            state: None,
        }
    }

    /// Parses a `traceparent` value. A later version's value is read as far as
    /// version 00 defines it (§2.2.4) and continued as version 00.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let bytes = traceparent.as_bytes();
        let version = hex_byte(bytes.get(..2)?)?;
        let shape = match version {
            0 => bytes.len() == LENGTH,
            0xff => false,
            _ => bytes.len() == LENGTH || bytes.get(LENGTH) == Some(&b'-'),
        };
        if !shape || [2, 35, 52].iter().any(|&at| bytes[at] != b'-') {
            return None;
        }
        Some(Self {
            trace_id: hex_id(&bytes[3..35])?,
            span_id: hex_id(&bytes[36..52])?,
            // Only the flag that version 00 defines goes on.
            flags: hex_byte(&bytes[53..55])? & SAMPLED,
            state: None,
        })
    }

    /// The context in a request's headers: exactly one well-formed `traceparent`,
    /// with its `tracestate` when that is within bounds.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        let mut context = Self::parse(value.to_str().ok()?)?;
        context.state = joined_state(headers);
        Some(context)
    }

    /// The next span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: random_id(),
            ..self.clone()
        }
    }

    /// The context of the request that the current task serves, if it serves one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Runs `future` with this context as [`current`](Self::current). A task that
    /// `future` spawns does not inherit it.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// The value of `traceparent`.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("hexadecimal digits and dashes")
    }

    /// Writes `traceparent` and `tracestate`, replacing what is there.
    pub fn inject(&self, headers: &mut HeaderMap) {
        headers.insert(TRACEPARENT, self.header_value());
        match &self.state {
            Some(state) => drop(headers.insert(TRACESTATE, state.clone())),
            None => drop(headers.remove(TRACESTATE)),
        }
    }

    /// The trace's id, as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        Hex(self.trace_id)
    }

    /// The span's id, as 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> impl fmt::Display + use<> {
        Hex(self.span_id)
    }
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{}-{}-{:02x}",
            self.trace_id(),
            self.span_id(),
            self.flags
        )
    }
}

struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn joined_state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut joined = Vec::new();
    for value in headers.get_all(TRACESTATE) {
        if !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend_from_slice(value.as_bytes());
        if joined.len() > MAX_TRACESTATE_BYTES {
            return None;
        }
    }
    let printable = joined.iter().all(|byte| (0x20..0x7f).contains(byte));
    let members = joined.iter().filter(|&&byte| byte == b',').count() + 1;
    if joined.is_empty() || !printable || members > MAX_TRACESTATE_MEMBERS {
        return None;
    }
    HeaderValue::from_bytes(&joined).ok()
}

/// Lower-case digits only, as the specification demands; all zeros is no id.
fn hex_id<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut id = [0; N];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_byte(pair)?;
    }
    (id != [0; N]).then_some(id)
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    Some(digit(pair[0])? << 4 | digit(pair[1])?)
}

/// Ids need to differ, not to be secret; a zero id is invalid.
fn random_id<const N: usize>() -> [u8; N] {
    let mut id = [0; N];
    while id == [0; N] {
        rand::rng().fill_bytes(&mut id);
    }
    id
}

#[cfg(test)]
mod tests;
