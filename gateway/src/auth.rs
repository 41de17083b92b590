//! `/auth/**`: the only handlers that are written by hand.
//!
//! What ends a session runs to its end even when the browser hangs up half-way
//! ([`to_the_end`]): otherwise the auth service could have ended a session whose token
//! this gateway would still use.

mod json;
mod login;
mod logout;
mod password;
mod session;
mod sessions;

use axum::{
    Json, Router,
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, post},
};
use http::{StatusCode, header};
use proto::auth::v1::{GetSessionRequest, NewSession, SessionKind, User};

use self::json::SignedIn;
use crate::{
    cookie,
    credential::SessionSecret,
    error::Error,
    gateway::{Gateway, Shared},
    middleware::guard::{Caller, guard},
    task,
};

/// A password of 256 characters of four bytes, an address, a name, and room.
const MAX_BODY: usize = 8 * 1024;

/// The routes, each behind the guard. A method that a route does not know is refused
/// before the guard asks anything.
pub(crate) fn routes(gateway: &Shared) -> Router<Shared> {
    let guarded = |methods: MethodRouter<Shared>| {
        methods.route_layer(from_fn_with_state(gateway.clone(), guard))
    };
    Router::new()
        .route("/auth/register", guarded(post(login::register)))
        .route("/auth/login", guarded(post(login::login)))
        .route("/auth/logout", guarded(post(logout::logout)))
        .route("/auth/session", guarded(get(session::session)))
        .route(
            "/auth/sessions",
            guarded(get(sessions::list).delete(sessions::end_others)),
        )
        .route("/auth/sessions/{id}", guarded(delete(sessions::end_one)))
        .route("/auth/password", guarded(post(password::change)))
}

/// Runs a change as a task of its own and waits for it. As many as there may be
/// requests: hanging up does not make room for another one.
async fn to_the_end<T: Send + 'static>(
    gateway: &Gateway,
    change: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let permit = gateway.changes.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Error::Overloaded)?;
    let change = task::spawn(async move {
        let _permit = permit;
        change.await
    });
    change.await.unwrap_or(Err(Error::Crashed))
}

/// The answer to whoever has just signed in: who they are, and the new cookie.
fn signed_in(
    status: StatusCode,
    user: Option<User>,
    session: Option<NewSession>,
) -> Result<Response, Error> {
    let (session, secret) = new_session(session)?;
    let user = user.ok_or(Error::AuthAnswer("a sign-in without its person"))?;
    let body = Json(SignedIn {
        user: user.into(),
        session: json::Session::own(session)?,
    });
    Ok((status, [(header::SET_COOKIE, cookie::set(&secret))], body).into_response())
}

fn new_session(
    sent: Option<NewSession>,
) -> Result<(proto::auth::v1::Session, SessionSecret), Error> {
    let sent = sent.ok_or(Error::AuthAnswer("a sign-in without its session"))?;
    let secret = SessionSecret::parse(&sent.session_secret)
        .ok_or(Error::AuthAnswer("a malformed session secret"))?;
    let session = sent
        .session
        .ok_or(Error::AuthAnswer("a session without its description"))?;
    Ok((session, secret))
}

/// The session of the person who calls; guests and strangers are asked to sign in.
async fn person(
    gateway: &Gateway,
    caller: &Caller,
) -> Result<(SessionSecret, proto::auth::v1::Session), Error> {
    let secret = caller.credential.session().ok_or(Error::SessionRequired)?;
    let request = GetSessionRequest {
        session_secret: secret.expose().to_owned(),
    };
    let mut sessions = gateway.auth.sessions();
    let answer = gateway
        .auth
        .within(sessions.get_session(request))
        .await
        .map_err(Error::Auth)?;
    let session = answer.session.ok_or(Error::AuthAnswer("no session"))?;
    match session.kind() {
        SessionKind::User => Ok((secret.clone(), session)),
        SessionKind::Guest | SessionKind::Unspecified => Err(Error::SessionRequired),
    }
}
