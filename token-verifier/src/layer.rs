//! The layer that guards a server.

use tower::Layer;

use crate::open_paths::OpenPaths;
use crate::service::VerifyToken;
use crate::verifier::TokenVerifier;

/// Lets only requests with a valid token pass, and puts the
/// [`VerifiedToken`](crate::VerifiedToken) into their extensions.
///
/// Works around a whole tonic server or any HTTP service, looks at headers alone, and
/// answers strangers before a byte of the body is read. All methods are covered, known
/// or not, but for
///
/// - health: `grpc.health.v1.Health/{Check,List,Watch}`, and
/// - reflection: `grpc.reflection.{v1,v1alpha}.ServerReflection/ServerReflectionInfo`,
///   until [closed](Self::close_reflection).
///
/// Paths are compared byte for byte as they were sent. An alias such as `//` or `%2e`
/// is just another path, and not open.
///
/// gRPC callers are refused with a status (`UNAUTHENTICATED`, or `UNAVAILABLE` when it
/// is our keys that are missing), others with 401 or 503.
///
/// # Open streams
///
/// A call ends with its caller's token: when that is revoked, at once; when it expires,
/// 5 s later ([`LEEWAY`](crate::LEEWAY)), like a token that arrives then. A handler
/// that is still at work is dropped, as it is when its caller goes away. gRPC callers are told in
/// trailers (`UNAUTHENTICATED`, reason `TOKEN_ENDED`: unlike `TOKEN_INVALID` it says that
/// the handler had begun), the body of any other response breaks off with
/// [`TokenEnded`](crate::TokenEnded).
///
/// A newer token of the same session lengthens the lives of its calls, whatever it was sent
/// for, if it says the same of its caller: subject, client, actors and scope. Who has nothing else to send calls `latchkey.auth.v1.TokenRenewal/Renew` (an empty
/// message for an empty message), which the layer answers itself. A token without a
/// session cannot be renewed.
#[derive(Clone, Debug)]
pub struct VerifyTokenLayer {
    verifier: TokenVerifier,
    open_paths: OpenPaths,
}

impl VerifyTokenLayer {
    /// A layer that believes `verifier`.
    #[must_use]
    pub fn new(verifier: TokenVerifier) -> Self {
        Self {
            verifier,
            open_paths: OpenPaths::default(),
        }
    }

    /// Asks for a token before reflection, too.
    #[must_use]
    pub fn close_reflection(mut self) -> Self {
        self.open_paths.reflection = false;
        self
    }
}

impl<S> Layer<S> for VerifyTokenLayer {
    type Service = VerifyToken<S>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifyToken::new(inner, self.verifier.clone(), self.open_paths)
    }
}
