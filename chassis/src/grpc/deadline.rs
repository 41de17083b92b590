//! `grpc-timeout`: how long the client waits, and how long we let it.

use std::time::Duration;

use http::HeaderMap;

const HEADER: &str = "grpc-timeout";
/// The protocol's own bound: "at most 8 digits".
const MAX_DIGITS: usize = 8;

/// A `grpc-timeout` that does not follow the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What the client asked for.
pub(super) fn requested(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Malformed);
    }
    let text = value.to_str().map_err(|_| Malformed)?;
    parse(text).map(Some).ok_or(Malformed)
}

/// How long this call gets. What is malformed is refused further in, after
/// authentication; until then the server's cap holds.
pub(super) fn granted(headers: &HeaderMap, cap: Duration) -> Duration {
    match requested(headers) {
        Ok(Some(requested)) => requested.min(cap),
        Ok(None) | Err(Malformed) => cap,
    }
}

fn parse(text: &str) -> Option<Duration> {
    let unit = *text.as_bytes().last()?;
    let digits = text.get(..text.len() - 1)?;
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || digits.len() > MAX_DIGITS || !only_digits {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 60 * 60)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        assert_eq!(
            requested(&headers),
            expected.map(Some).ok_or(Malformed),
            "{text:?}"
        );
    }

    #[test]
    fn reads_every_unit() {
        check("2H", Some(Duration::from_secs(7200)));
        check("3M", Some(Duration::from_secs(180)));
        check("4S", Some(Duration::from_secs(4)));
        check("5m", Some(Duration::from_millis(5)));
        check("6u", Some(Duration::from_micros(6)));
        check("7n", Some(Duration::from_nanos(7)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3600)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "S",
            "1",
            "1s",
            "1 S",
            "-1S",
            "+1S",
            "1.5S",
            "123456789S",
            "ä",
            "1ä",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn two_are_malformed() {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_static("1S"));
        headers.append(HEADER, HeaderValue::from_static("9H"));
        assert_eq!(requested(&headers), Err(Malformed));
    }

    #[test]
    fn the_cap_holds_whatever_is_asked() {
        let cap = Duration::from_secs(30);
        let mut headers = HeaderMap::new();
        assert_eq!(granted(&headers, cap), cap);
        for (text, expected) in [("9H", cap), ("2S", Duration::from_secs(2)), ("soon", cap)] {
            headers.insert(HEADER, HeaderValue::from_static(text));
            assert_eq!(granted(&headers, cap), expected);
        }
    }
}
