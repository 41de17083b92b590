//! `/api/**`: from a route in the descriptors to its service, with a token for it.
//!
//! Which token: somebody with a live session calls as themselves. Without one, reading
//! goes through as `anonymous`, and the first unsafe request to a service for guests
//! makes a guest session. A service for people asks for a sign-in.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use chassis::{
    request_id::RequestId,
    trace_context::{self, TraceContext},
};
use http::{HeaderMap, HeaderValue, Request, header, request::Parts};
use http_body::Body as _;
use proto::auth::v1::CreateGuestSessionRequest;

use crate::{
    cookie,
    credential::SessionSecret,
    csrf,
    error::{self, Error, Problem},
    exchange::{ExchangeError, Grant, SessionKind},
    gateway::{Gateway, Shared},
    lease::Lease,
    metrics::RouteTemplate,
    middleware::{
        body,
        guard::{self, Caller},
    },
    routes::{CallError, Found, Lookup, RequestMessage},
    upstream::{Access, UpstreamRequestHeaders},
};

/// Everything under `/api/`.
pub(crate) async fn api(State(gateway): State<Shared>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let found = match find(&gateway, &parts) {
        Ok(found) => found,
        Err(error) => return error.into_response(),
    };
    let template = RouteTemplate(found.template().into());
    // Outside the result, because a guest session that was made must reach the browser
    // whatever happens afterwards.
    let mut guest = None;
    let outcome = answer(&gateway, parts, body, found, &mut guest).await;
    let mut response = outcome.unwrap_or_else(|problem| problem.into_response());
    response.extensions_mut().insert(template);
    if let Some(secret) = guest {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, cookie::set(&secret));
    }
    response
}

fn find(gateway: &Gateway, parts: &Parts) -> Result<Found, Error> {
    let routes = gateway.routes.load();
    match routes.table.find(&parts.method, parts.uri.path()) {
        Lookup::Found(found) => Ok(found),
        Lookup::MethodNotAllowed(allow) => Err(Error::MethodNotAllowed(Some(allow.header_value()))),
        Lookup::NotFound if !routes.complete => Err(Error::NotReady),
        Lookup::NotFound => Err(Error::NotFound),
        Lookup::BadPath(how) => {
            tracing::debug!(error = %how, "a path that is not looked at");
            Err(Error::Path(crate::path::PathNotNormal))
        }
    }
}

async fn answer(
    gateway: &Gateway,
    parts: Parts,
    body: Body,
    found: Found,
    guest: &mut Option<SessionSecret>,
) -> Result<Response, Problem> {
    tracing::Span::current().record("rpc.method", found.rpc());
    let caller = guard::check(gateway, &parts, !body.is_end_stream())?;
    let upstream = found.upstream().clone();
    let needs = Needs {
        access: upstream.access,
        audience: &upstream.audience,
        safe: csrf::is_safe(&parts.method),
    };
    if needs.access == Access::User && caller.credential.session().is_none() {
        return Err(Error::SessionRequired.into());
    }
    // Before the token: what no service would take makes no guest.
    let message = message(gateway, &found, parts.uri.query(), body).await?;
    let call = Call {
        gateway,
        headers: onward(&parts.headers),
        found,
        message,
    };
    let grant = grant(gateway, &needs, &caller, guest).await?;
    let refused = match call.make(&grant).await {
        Err(CallError::Status(status)) if error::may_ask_again(&status, &upstream.audience) => {
            status
        }
        outcome => return outcome.map_err(|error| call_problem(&upstream.name, error)),
    };
    if !gateway.exchange.refused(&grant) {
        return Err(error::from_upstream(&upstream.name, &refused));
    }
    // The service knows something that we do not know yet: a revocation, a key, the time.
    // It refused at the door, so nothing has been done, and a new token settles it.
    tracing::info!(
        reason = "token_refused",
        upstream = %upstream.name,
        message = refused.message(),
        "an upstream refused a token; asking once more with a new one"
    );
    let grant = self::grant(gateway, &needs, &caller, guest).await?;
    let outcome = call.make(&grant).await;
    outcome.map_err(|error| call_problem(&upstream.name, error))
}

/// A request that is ready to be sent, more than once if need be.
struct Call<'a> {
    gateway: &'a Gateway,
    found: Found,
    message: RequestMessage,
    headers: UpstreamRequestHeaders,
}

impl Call<'_> {
    async fn make(&self, grant: &Grant) -> Result<Response, CallError> {
        let upstream = self.found.upstream();
        let lease = || {
            let lease = Lease {
                exchange: self.gateway.exchange.clone(),
                upstream: upstream.clone(),
                headers: self.headers.clone(),
                grant: grant.clone(),
                metrics: self.gateway.metrics.clone(),
            };
            lease.over()
        };
        // For a stream that fails after its first line.
        let (id, name) = (RequestId::current().unwrap_or_default(), upstream.clone());
        let last_line = move |error| call_problem(&name.name, error).to_json(id.as_str());
        let (message, token) = (self.message.clone(), grant.token());
        let outcome = self
            .found
            .call(message, token, &self.headers, lease, last_line)
            .await;
        if let Err(CallError::Status(status)) = &outcome
            && error::is_refused_token(status)
        {
            self.gateway.metrics.refused_token(&upstream.name);
        }
        outcome
    }
}

async fn message(
    gateway: &Gateway,
    found: &Found,
    query: Option<&str>,
    body: Body,
) -> Result<RequestMessage, Problem> {
    if !body.is_end_stream() && !found.takes_body() {
        return Err(Error::BodyNotAllowed.into());
    }
    let limits = &gateway.limits;
    let body = body::read(body, limits.body_bytes, limits.body_timeout).await?;
    found
        .message(query, &body)
        .map_err(|error| error::from_transcoding(&error))
}

/// What a route asks of its caller.
struct Needs<'a> {
    access: Access,
    audience: &'a str,
    safe: bool,
}

async fn grant(
    gateway: &Gateway,
    needs: &Needs<'_>,
    caller: &Caller,
    guest: &mut Option<SessionSecret>,
) -> Result<Grant, Error> {
    // One that this request has made already, if its first token was refused.
    if let Some(secret) = guest {
        return Ok(gateway.exchange.for_session(secret, needs.audience).await?);
    }
    match (needs.access, live_session(gateway, needs, caller).await?) {
        (Access::User, Some(grant)) if grant.kind() == Some(SessionKind::User) => Ok(grant),
        (Access::User, _) => Err(Error::SessionRequired),
        (Access::Anyone | Access::Guest, Some(grant)) => Ok(grant),
        (Access::Guest, None) if !needs.safe => {
            let secret = guest.insert(new_guest(gateway, caller).await?);
            Ok(gateway.exchange.for_session(secret, needs.audience).await?)
        }
        (Access::Anyone | Access::Guest, None) => {
            Ok(gateway.exchange.anonymous(needs.audience).await?)
        }
    }
}

/// The caller's token, or nothing if the auth service says that there is no session.
/// An auth service that cannot say is an error, never a "no".
///
/// A cookie of a session that is over is left alone; see `auth/session.rs`. So is one
/// that a sign-in has replaced while this request was under way: a new guest's cookie
/// would arrive after the person's and sign them out.
async fn live_session(
    gateway: &Gateway,
    needs: &Needs<'_>,
    caller: &Caller,
) -> Result<Option<Grant>, Error> {
    let Some(secret) = caller.credential.session() else {
        return Ok(None);
    };
    match gateway.exchange.for_session(secret, needs.audience).await {
        Ok(session) => Ok(Some(session)),
        Err(ExchangeError::SessionInvalid) => Ok(None),
        Err(ExchangeError::Replaced) if needs.safe => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn new_guest(gateway: &Gateway, caller: &Caller) -> Result<SessionSecret, Error> {
    let request = CreateGuestSessionRequest {
        client: Some((&caller.client).into()),
    };
    let mut sessions = gateway.auth.sessions();
    let answer = gateway
        .auth
        .within(sessions.create_guest_session(request))
        .await;
    let session = answer.map_err(Error::Auth)?.session;
    gateway.metrics.guests.inc();
    session
        .and_then(|session| SessionSecret::parse(&session.session_secret))
        .ok_or(Error::AuthAnswer("a guest session without a secret"))
}

/// The only things of a request that a service hears besides its message.
fn onward(asked: &HeaderMap) -> UpstreamRequestHeaders {
    let mut trace = HeaderMap::new();
    if let Some(context) = TraceContext::current() {
        context.inject(&mut trace);
    }
    UpstreamRequestHeaders {
        request_id: RequestId::current().unwrap_or_default().header_value(),
        traceparent: trace.remove(trace_context::TRACEPARENT),
        tracestate: trace.remove(trace_context::TRACESTATE),
        accept_language: the_only(asked, &header::ACCEPT_LANGUAGE),
    }
}

fn the_only(headers: &HeaderMap, name: &http::HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        // Metadata is printable ASCII.
        (Some(value), None) if value.len() <= 256 && value.to_str().is_ok() => Some(value.clone()),
        _ => None,
    }
}

fn call_problem(upstream: &str, error: CallError) -> Problem {
    match error {
        CallError::Status(status) => error::from_upstream(upstream, &status),
        CallError::Response(error) => error::from_bad_response(upstream, &error),
        CallError::Ended(why) => Error::Ended(why).into(),
    }
}
