//! Session → access token for one audience, cached.
//!
//! This is the only place that makes an [`UpstreamToken`], and `upstream` cannot
//! call a service without one.

use http::HeaderValue;

/// An access token for one audience, ready to be sent to that service.
///
/// It is never shown to a client: `Debug` prints nothing of it.
#[derive(Clone)]
pub struct UpstreamToken {
    header: HeaderValue,
}

impl UpstreamToken {
    /// The `authorization` value, marked sensitive.
    pub(crate) fn header_value(&self) -> &HeaderValue {
        &self.header
    }

    #[cfg(test)]
    pub(crate) fn for_tests(token: &str) -> Self {
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        header.set_sensitive(true);
        Self { header }
    }
}

impl std::fmt::Debug for UpstreamToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamToken(..)")
    }
}
