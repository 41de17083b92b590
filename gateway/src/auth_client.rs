//! The auth service as this gateway calls it: each call with a fresh assertion of who
//! we are (RFC 7523), within a time limit, as part of the current trace.

use std::{sync::Arc, time::Duration};

use chassis::{
    trace_context::{Inject, InjectLayer},
    workload::{AssertionLayer, AssertionSigner, AttachAssertion},
};
use futures::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use proto::auth::v1::{
    ClientInfo, ExchangeSessionRequest, IssueAnonymousTokenRequest,
    account_service_client::AccountServiceClient, session_service_client::SessionServiceClient,
    token_service_client::TokenServiceClient,
};
use tonic::{Code, Response, Status, transport::Channel};
use tonic_types::StatusExt as _;
use tower::Layer as _;

use crate::{
    credential::SessionSecret,
    exchange::{ExchangeError, Issued, IssuedSession, SessionKind, TokenSource},
    middleware::guard::Client,
    upstream::is_broken_connection,
};

type Wire = Inject<AttachAssertion<Channel>>;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct AuthClient {
    accounts: AccountServiceClient<Wire>,
    sessions: SessionServiceClient<Wire>,
    tokens: TokenServiceClient<Wire>,
    timeout: Duration,
}

impl AuthClient {
    pub(crate) fn new(channel: Channel, signer: AssertionSigner, timeout: Duration) -> Self {
        let wire = InjectLayer.layer(AssertionLayer::new(signer).layer(channel));
        Self {
            accounts: AccountServiceClient::new(wire.clone()),
            sessions: SessionServiceClient::new(wire.clone()),
            tokens: TokenServiceClient::new(wire),
            timeout,
        }
    }

    pub(crate) fn accounts(&self) -> AccountServiceClient<Wire> {
        self.accounts.clone()
    }

    pub(crate) fn sessions(&self) -> SessionServiceClient<Wire> {
        self.sessions.clone()
    }

    /// Waits for a call, but not for ever: connecting counts too.
    pub(crate) async fn within<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Status> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map(Response::into_inner).map_err(or_broken),
            Err(_elapsed) => Err(Status::deadline_exceeded("the auth service is late")),
        }
    }
}

/// A connection that broke is an outage. tonic calls it by many names, but a status that
/// it made here has a cause, and one that came over the wire has none.
fn or_broken(status: Status) -> Status {
    let is_local = std::error::Error::source(&status).is_some();
    if !is_local || !is_broken_connection(status.code()) {
        return status;
    }
    tracing::debug!(error = %status, "the connection to the auth service broke");
    Status::unavailable("the connection to the auth service broke")
}

/// Whether a call that failed may have done its work all the same.
pub(crate) fn may_have_happened(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
    )
}

/// Whether a status says that the session is over, and nothing else does.
pub(crate) fn is_session_invalid(status: &Status) -> bool {
    is_unauthenticated(status, "SESSION_INVALID")
}

fn is_unauthenticated(status: &Status, reason: &str) -> bool {
    status.code() == Code::Unauthenticated
        && status
            .get_details_error_info()
            .is_some_and(|info| info.reason == reason)
}

impl From<&Client> for ClientInfo {
    fn from(client: &Client) -> Self {
        Self {
            address: client.address.clone(),
            user_agent: client.user_agent.clone(),
        }
    }
}

/// Time limits are the exchange's own.
impl TokenSource for AuthClient {
    fn exchange(
        &self,
        secret: SessionSecret,
        audience: Arc<str>,
    ) -> BoxFuture<'_, Result<Issued, ExchangeError>> {
        async move {
            let request = ExchangeSessionRequest {
                session_secret: secret.expose().to_owned(),
                audience: audience.to_string(),
            };
            let answer = self
                .tokens
                .clone()
                .exchange_session(request)
                .await
                .map_err(failure)?;
            let answer = answer.into_inner();
            Ok(Issued {
                session: Some(IssuedSession {
                    kind: kind(answer.kind())?,
                    id: answer.session_id,
                    subject: answer.subject,
                }),
                expires_in: lifetime(answer.expires_in)?,
                key_id: answer.key_id,
                issued_at: issued_at(answer.issued_at)?,
                access_token: answer.access_token,
            })
        }
        .boxed()
    }

    fn anonymous(&self, audience: Arc<str>) -> BoxFuture<'_, Result<Issued, ExchangeError>> {
        async move {
            let request = IssueAnonymousTokenRequest {
                audience: audience.to_string(),
            };
            let answer = self.tokens.clone().issue_anonymous_token(request).await;
            let answer = answer.map_err(failure)?.into_inner();
            Ok(Issued {
                session: None,
                expires_in: lifetime(answer.expires_in)?,
                key_id: answer.key_id,
                issued_at: issued_at(answer.issued_at)?,
                access_token: answer.access_token,
            })
        }
        .boxed()
    }
}

fn kind(kind: proto::auth::v1::SessionKind) -> Result<SessionKind, ExchangeError> {
    use proto::auth::v1::SessionKind as Sent;
    match kind {
        Sent::Guest => Ok(SessionKind::Guest),
        Sent::User => Ok(SessionKind::User),
        Sent::Unspecified => Err(ExchangeError::BadAnswer("a session of no kind")),
    }
}

fn lifetime(sent: Option<prost_types::Duration>) -> Result<Duration, ExchangeError> {
    sent.and_then(|sent| Duration::try_from(sent).ok())
        .ok_or(ExchangeError::BadAnswer("a token without a lifetime"))
}

fn issued_at(sent: Option<prost_types::Timestamp>) -> Result<Timestamp, ExchangeError> {
    sent.and_then(|sent| Timestamp::new(sent.seconds, sent.nanos).ok())
        .ok_or(ExchangeError::BadAnswer("a token without its issue"))
}

fn failure(status: Status) -> ExchangeError {
    if is_session_invalid(&status) {
        return ExchangeError::SessionInvalid;
    }
    if is_unauthenticated(&status, "SESSION_REPLACED") {
        return ExchangeError::Replaced;
    }
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::ResourceExhausted
        | Code::Aborted
        // What tonic makes of a connection that broke.
        | Code::Unknown
        | Code::Internal
        | Code::DataLoss => ExchangeError::Away(Arc::new(status)),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => ExchangeError::Refused(Arc::new(status)),
    }
}
