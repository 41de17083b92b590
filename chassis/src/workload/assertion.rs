//! Client assertions: "I am svc_gateway, and I mean you, now".

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use jsonwebtoken::{Algorithm, Header};
use serde_json::json;
use token_verifier::Clock;
use tower::{Layer, Service};
use uuid::Uuid;

use super::WorkloadKey;

/// Long enough for a slow network and a clock that is a little off, short enough that
/// a leaked one is soon worthless.
const LIFETIME_SECONDS: i64 = 60;
/// RFC 7523bis: tells an assertion from every other kind of token.
const TYPE: &str = "client-authentication+jwt";

/// Signs assertions for one audience. Cheap to clone.
#[derive(Clone)]
pub struct AssertionSigner {
    inner: Arc<Inner>,
}

struct Inner {
    subject: String,
    audience: String,
    header: Header,
    key: WorkloadKey,
    clock: Arc<dyn Clock>,
}

impl AssertionSigner {
    /// `name` is the workload's (`gateway` speaks as `svc_gateway`), `audience` whom
    /// the assertions are for (`auth-service`).
    #[must_use]
    pub fn new(name: &str, key: WorkloadKey, audience: &str, clock: Arc<dyn Clock>) -> Self {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(key.kid().to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        Self {
            inner: Arc::new(Inner {
                subject: format!("svc_{name}"),
                audience: audience.to_owned(),
                header,
                key,
                clock,
            }),
        }
    }

    /// A fresh assertion, good for one call within 60 seconds.
    #[must_use]
    pub fn assertion(&self) -> String {
        let inner = &*self.inner;
        let now = inner.clock.now().as_second();
        let claims = json!({
            "iss": inner.subject,
            "sub": inner.subject,
            "aud": inner.audience,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": Uuid::new_v4().to_string(),
        });
        jsonwebtoken::encode(&inner.header, &claims, inner.key.encoding_key())
            .expect("a key that was read as Ed25519 signs")
    }

    /// `Bearer <assertion>`, marked so that nothing logs or indexes it.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        let text = format!("Bearer {}", self.assertion());
        let mut value = HeaderValue::try_from(text).expect("base64url, dots and one space");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for AssertionSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionSigner")
            .field("subject", &self.inner.subject)
            .field("audience", &self.inner.audience)
            .finish_non_exhaustive()
    }
}

/// Signs every request of a client with a fresh assertion, in `authorization`.
///
/// ```no_run
/// # fn f(signer: chassis::workload::AssertionSigner, channel: tonic::transport::Channel) {
/// use chassis::workload::AssertionLayer;
/// use tower::Layer;
///
/// let channel = AssertionLayer::new(signer).layer(channel);
/// // `TokenServiceClient::new(channel)` now calls as this workload.
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AssertionLayer {
    signer: AssertionSigner,
}

impl AssertionLayer {
    /// A layer that signs with `signer`.
    #[must_use]
    pub fn new(signer: AssertionSigner) -> Self {
        Self { signer }
    }
}

/// The service that [`AssertionLayer`] makes.
#[derive(Clone, Debug)]
pub struct AttachAssertion<S> {
    inner: S,
    signer: AssertionSigner,
}

impl<S> Layer<S> for AssertionLayer {
    type Service = AttachAssertion<S>;

    fn layer(&self, inner: S) -> AttachAssertion<S> {
        AttachAssertion {
            inner,
            signer: self.signer.clone(),
        }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for AttachAssertion<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request
            .headers_mut()
            .insert(AUTHORIZATION, self.signer.header_value());
        self.inner.call(request)
    }
}
