//! Where a request really came from, for limits and for a person's list of devices.
//!
//! The peer's address, unless the peer is a proxy that the settings trust: then the
//! rightmost address in `X-Forwarded-For` that is not itself such a proxy. Everything
//! further left was written by somebody we do not know. `Forwarded`, `X-Real-IP` and
//! the like are never read: one list, one rule.

use std::{net::IpAddr, str::FromStr};

use http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How many addresses are read; a chain of proxies is a handful long.
const MAX_HOPS: usize = 32;

/// An address or a CIDR block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is neither an address nor a CIDR block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an IP address nor a block like 10.0.0.0/8")]
pub struct NetworkError;

impl Network {
    /// Whether an address lies in it. IPv4 inside IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same_prefix(
                own.to_bits().into(),
                other.to_bits().into(),
                self.prefix,
                32,
            ),
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                same_prefix(own.to_bits(), other.to_bits(), self.prefix, 128)
            }
            _ => false,
        }
    }
}

fn same_prefix(own: u128, other: u128, prefix: u8, width: u8) -> bool {
    // A shift by the whole width would overflow; a prefix of 0 holds everything.
    prefix == 0 || (own ^ other) >> (width - prefix) == 0
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let address = address
            .parse::<IpAddr>()
            .map_err(|_| NetworkError)?
            .to_canonical();
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|p| *p <= width)
                .ok_or(NetworkError)?,
        };
        Ok(Self { address, prefix })
    }
}

/// The client's address.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut address = peer.to_canonical();
    let hops = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','))
        .take(MAX_HOPS);
    for hop in hops {
        if !is_trusted(address, trusted) {
            break;
        }
        // What is not an address was not written by a proxy of ours: the last one that
        // can be believed is the one that handed it on.
        let Some(next) = parse_hop(hop) else { break };
        address = next;
    }
    address
}

pub(crate) fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop.trim_ascii()).ok()?;
    // Some proxies add the port.
    text.parse::<IpAddr>()
        .or_else(|_| {
            text.parse::<std::net::SocketAddr>()
                .map(|socket| socket.ip())
        })
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests;
