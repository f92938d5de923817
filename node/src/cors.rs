//! Which web pages may call this node from a browser (CORS), and with which headers of gRPC-Web.
//!
//! The default is none. It must never answer `*`: a page that is allowed is named, or runs on this machine.

use tonic::codegen::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// What gRPC-Web clients send.
const REQUEST_HEADERS: [&str; 6] =
    ["content-type", "x-grpc-web", "x-user-agent", "grpc-timeout", "grpc-accept-encoding", "accept"];
/// What gRPC-Web clients read: an error's status stands in the headers of the answer.
const EXPOSED_HEADERS: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// Origins that may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// No web page.
    #[default]
    None,
    /// Pages served from `localhost`, `127.0.0.1` or `[::1]`, on any port.
    Localhost,
    /// These origins, written as a browser sends them (`https://app.example`).
    Origins(Vec<String>),
}

impl Cors {
    /// True when a page of this origin may call.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::None => false,
            Self::Localhost => is_localhost(origin),
            Self::Origins(origins) => origins.iter().any(|allowed| allowed == origin),
        }
    }

    pub(crate) fn layer(self) -> CorsLayer {
        let allowed = AllowOrigin::predicate(move |origin: &HeaderValue, _| {
            origin.to_str().is_ok_and(|origin| self.allows(origin))
        });
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::POST, Method::OPTIONS])
            .allow_headers(REQUEST_HEADERS.map(HeaderName::from_static))
            .expose_headers(EXPOSED_HEADERS.map(HeaderName::from_static))
    }
}

/// `http(s)://localhost[:port]`, the same with `127.0.0.1` or `[::1]`, and nothing that merely begins so.
fn is_localhost(origin: &str) -> bool {
    let Some(rest) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        rest.strip_prefix(host).is_some_and(|port| {
            port.is_empty()
                || port.strip_prefix(':').is_some_and(|digits| !digits.is_empty() && digits.parse::<u16>().is_ok())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_this_machine_on_any_port_and_nothing_else() {
        for origin in ["http://localhost", "http://localhost:3000", "https://127.0.0.1:8443", "http://[::1]:80"] {
            assert!(Cors::Localhost.allows(origin), "{origin}");
        }
        for origin in [
            "http://localhost.evil.example",
            "http://evil.example",
            "http://localhost:3000.evil.example",
            "http://127.0.0.1:",
            "localhost:3000",
            "null",
            "",
        ] {
            assert!(!Cors::Localhost.allows(origin), "{origin}");
        }
    }

    #[test]
    fn named_origins_are_compared_whole_and_none_allows_none() {
        let named = Cors::Origins(vec!["https://app.example".to_owned()]);
        assert!(named.allows("https://app.example"));
        assert!(!named.allows("https://app.example:444"));
        assert!(!Cors::None.allows("http://localhost"));
    }
}
