//! `GET /auth/session`: who am I? 200 for everybody; 503 if there is a cookie and nobody
//! who could say what it is worth.
//!
//! A cookie of a session that is over stays where it is. Taking it away here could
//! take away another one: this answer may arrive after that of a sign-in that was sent
//! later and has already replaced the cookie.

use axum::{Extension, Json, extract::State};
use proto::auth::v1::{GetSessionRequest, SessionKind};

use super::json::{Session, WhoAmI};
use crate::{
    auth_client::is_session_invalid, error::Error, gateway::Shared, middleware::guard::Caller,
};

const NOBODY: WhoAmI = WhoAmI {
    authenticated: false,
    guest: false,
    user: None,
    session: None,
};

pub(super) async fn session(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<WhoAmI>, Error> {
    let Some(secret) = caller.credential.session() else {
        return Ok(Json(NOBODY));
    };
    let request = GetSessionRequest {
        session_secret: secret.expose().to_owned(),
    };
    let mut sessions = gateway.auth.sessions();
    let answer = match gateway.auth.within(sessions.get_session(request)).await {
        Ok(answer) => answer,
        Err(status) if is_session_invalid(&status) => return Ok(Json(NOBODY)),
        Err(status) => return Err(Error::Auth(status)),
    };
    let session = answer.session.ok_or(Error::AuthAnswer("no session"))?;
    let authenticated = session.kind() == SessionKind::User;
    Ok(Json(WhoAmI {
        authenticated,
        guest: !authenticated,
        user: answer.user.filter(|_| authenticated).map(Into::into),
        session: Some(Session::own(session)?),
    }))
}
