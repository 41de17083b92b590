//! The addresses under which browsers know this gateway.

use std::{fmt, str::FromStr};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

/// A web origin: scheme, host and port (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigin {
    https: bool,
    /// Lower case; IPv6 in brackets.
    host: String,
    port: u16,
}

/// Why a text is not a public origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicOriginError {
    /// Not `scheme://host[:port]`.
    #[error("no origin like https://shop.example")]
    Malformed,
    /// The session cookie is `Secure`: a browser would not send it.
    #[error(
        "not for plain http, which is for loopback hosts only: browsers keep the session cookie off plain http"
    )]
    NotSecure,
}

impl PublicOrigin {
    /// The origin of a loopback listener, under each of its names.
    pub fn loopback(port: u16) -> Vec<Self> {
        ["localhost", "127.0.0.1", "[::1]"]
            .into_iter()
            .map(|host| Self {
                https: false,
                host: host.to_owned(),
                port,
            })
            .collect()
    }

    /// Whether browsers reach it over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether a Host header or `:authority` names this origin. The port may be left
    /// out where it is the scheme's own.
    pub(crate) fn has_authority(&self, authority: &str) -> bool {
        let Some((host, port)) = split_authority(authority) else {
            return false;
        };
        host.eq_ignore_ascii_case(&self.host)
            && port.unwrap_or_else(|| default_port(self.https)) == self.port
    }
}

/// As browsers write it: no default port.
impl fmt::Display for PublicOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != default_port(self.https) {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl FromStr for PublicOrigin {
    type Err = PublicOriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = PublicOriginError::Malformed;
        let uri = Uri::from_str(text).map_err(|_| malformed)?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(malformed),
        };
        let authority = uri.authority().ok_or(malformed)?;
        let (host, port) = split_authority(authority.as_str()).ok_or(malformed)?;
        // `Uri` adds the slash of an empty path, so look at the text itself.
        if uri
            .path_and_query()
            .is_some_and(|rest| rest.as_str() != "/")
            || text.ends_with('/')
        {
            return Err(malformed);
        }
        let host = host.to_ascii_lowercase();
        if !https && !is_loopback(&host) {
            return Err(PublicOriginError::NotSecure);
        }
        Ok(Self {
            https,
            port: port.unwrap_or_else(|| default_port(https)),
            host,
        })
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// What browsers take for potentially trustworthy without TLS.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Host and port of `host[:port]`; `None` for user names and whatever else is odd.
fn split_authority(text: &str) -> Option<(&str, Option<u16>)> {
    let authority = Authority::from_str(text).ok()?;
    if text.contains('@') {
        return None;
    }
    let host_length = authority.host().len();
    let host = text.get(..host_length)?;
    let port = match text.get(host_length..)? {
        "" => None,
        rest => {
            let digits = rest.strip_prefix(':')?;
            let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
            Some(digits.parse().ok().filter(|_| canonical)?)
        }
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests;
