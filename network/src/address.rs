//! Where nodes are reached: hosts, ports, and URLs of gRPC.
//!
//! A machine's chains stand on neighbouring ports: the settlement chain on the first, shard n on the first + 1 + n.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The first port of `CometBFT`'s peers unless told otherwise.
pub const PORT_P2P: u16 = 26_656;
/// The first port of gRPC unless told otherwise.
pub const PORT_GRPC: u16 = 7_300;

const HOST_BYTES_MAX: usize = 253;

/// A host and a port. The host is a DNS name, an IPv4 address, or an IPv6 address (in brackets as text).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// A text that is no host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a host, such as validator.example or 192.0.2.7, and a port from 1 to 65535 after a colon")]
pub struct AddressError;

impl HostPort {
    /// Reads `HOST` or `HOST:PORT`; without a port it is `port`.
    pub fn parse(text: &str, port: u16) -> Result<Self, AddressError> {
        let has_port = text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let (host, port) = match has_port {
            Some((host, port)) => (host, port.parse().map_err(|_| AddressError)?),
            None => (text, port),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if port == 0 || !(is_name(host) || host.parse::<IpAddr>().is_ok()) {
            return Err(AddressError);
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }

    /// The host, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same host, so many ports further; none beyond the last port.
    #[must_use]
    pub fn after(&self, ports: u32) -> Option<Self> {
        let port = u32::from(self.port).checked_add(ports).and_then(|port| u16::try_from(port).ok())?;
        Some(Self { host: self.host.clone(), port })
    }

    /// The host as an address, if it is one and no name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether nobody outside this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether nobody outside this machine or its own network can reach it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let private = |ip| match ip {
            IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        self.is_loopback() || self.ip().is_some_and(private)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(IpAddr::V6(_)) => write!(f, "[{}]:{}", self.host, self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for HostPort {
    type Err = AddressError;

    /// Reads `HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let read = Self::parse(text, 0)?;
        if read.to_string().eq_ignore_ascii_case(text) { Ok(read) } else { Err(AddressError) }
    }
}

/// Labels of letters, digits and hyphens, with points between them.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // A name of digits and points alone is a mistyped address.
    let digits = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    host.len() <= HOST_BYTES_MAX && !digits && host.split('.').all(label)
}

/// A URL of gRPC in its parts: `http` or `https`, and where. Paths are refused: gRPC has its own.
pub(crate) fn parse_url(url: &str, port: u16) -> Option<(&'static str, HostPort)> {
    let (scheme, rest) = match url.split_once("://")? {
        ("http", rest) => ("http", rest),
        ("https", rest) => ("https", rest),
        _ => return None,
    };
    Some((scheme, HostPort::parse(rest.strip_suffix('/').unwrap_or(rest), port).ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn hosts_with_and_without_ports_are_read() {
        let read = |text: &str| HostPort::parse(text, PORT_P2P).map(|read| read.to_string());
        assert_eq!(read("Validator.example").unwrap(), "validator.example:26656");
        assert_eq!(read("192.0.2.7:900").unwrap(), "192.0.2.7:900");
        assert_eq!(read("2001:db8::1").unwrap(), "[2001:db8::1]:26656");
        assert_eq!(read("[2001:db8::1]:7").unwrap(), "[2001:db8::1]:7");
        for wrong in ["", "a b", "a:0", "a:70000", "a:x", "-a", "a..b", "1.2.3", "id@host", "a,b", "http://a", "a/b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!("host".parse::<HostPort>().is_err() && "host:5".parse::<HostPort>().is_ok());
    }

    #[test]
    fn ports_end_at_the_last() {
        let first = HostPort::parse("a", 65_534).unwrap();
        assert_eq!(first.after(1).unwrap().port(), 65_535);
        assert_eq!(first.after(2), None);
    }

    #[test]
    fn urls_are_http_with_a_host_alone() {
        let read = |url: &str| parse_url(url, PORT_GRPC).map(|(scheme, at)| format!("{scheme}://{at}"));
        assert_eq!(read("https://a.example").unwrap(), "https://a.example:7300");
        assert_eq!(read("http://127.0.0.1:9000/").unwrap(), "http://127.0.0.1:9000");
        for wrong in ["a.example", "ftp://a", "http://", "http://a/b", "https://a?b", "http://u@a"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
