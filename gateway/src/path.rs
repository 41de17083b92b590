//! Which request targets are looked at at all.
//!
//! Pure. A path has one spelling here: what another program might read differently
//! (dot segments, doubled or encoded slashes, backslashes, path parameters, encoded
//! controls) is refused rather than repaired, so that no two parts can disagree about
//! which route a request is for.

/// Longest accepted path and query together; longer ones are 414.
pub(crate) const MAX_TARGET_LENGTH: usize = 8 * 1024;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path is not in normal form")]
pub(crate) struct PathNotNormal;

/// Accepts paths in normal form only.
pub(crate) fn check(path: &str) -> Result<(), PathNotNormal> {
    let rest = path.strip_prefix('/').ok_or(PathNotNormal)?;
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        // Only the last one may be empty: a trailing slash is a different path, and a
        // doubled one is none.
        let doubled = segment.is_empty() && segments.peek().is_some();
        if doubled || !is_normal_segment(segment) {
            return Err(PathNotNormal);
        }
    }
    Ok(())
}

fn is_normal_segment(segment: &str) -> bool {
    if segment == "." || segment == ".." {
        return false;
    }
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => match (hex(bytes.next()), hex(bytes.next())) {
                (Some(high), Some(low)) => !is_dangerous_when_encoded(high << 4 | low),
                _ => false,
            },
            b'\\' | b';' | b'#' | b'?' => false,
            other => other.is_ascii_graphic(),
        };
        if !fine {
            return false;
        }
    }
    true
}

fn hex(byte: Option<u8>) -> Option<u8> {
    // A hex digit's value is below 16, so it fits.
    char::from(byte?)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Letters, digits and the other unreserved characters have no reason to be encoded,
/// and every filter in front of us might have missed them.
fn is_dangerous_when_encoded(byte: u8) -> bool {
    byte.is_ascii_control()
        || byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'/' | b'\\' | b'-' | b'_' | b'~')
}

#[cfg(test)]
mod tests;
