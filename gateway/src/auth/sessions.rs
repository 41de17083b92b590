//! `/auth/sessions`: a person's own devices.

use axum::{
    Extension, Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use proto::auth::v1::{ListSessionsRequest, RevokeOtherSessionsRequest, RevokeSessionRequest};
use tonic::Status;
use uuid::Uuid;

use super::{
    json::{Session, Sessions},
    person, to_the_end,
};
use crate::{
    auth_client::may_have_happened,
    cookie,
    error::Error,
    gateway::{Gateway, Shared},
    middleware::guard::Caller,
};

/// `GET /auth/sessions`.
pub(super) async fn list(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Sessions>, Error> {
    let (secret, _) = person(&gateway, &caller).await?;
    let request = ListSessionsRequest {
        session_secret: secret.expose().to_owned(),
    };
    let mut sessions = gateway.auth.sessions();
    let answer = gateway
        .auth
        .within(sessions.list_sessions(request))
        .await
        .map_err(Error::Auth)?;
    let sessions = answer
        .sessions
        .into_iter()
        .map(Session::listed)
        .collect::<Result<_, _>>()?;
    Ok(Json(Sessions { sessions }))
}

/// `DELETE /auth/sessions/{id}`. One's own is a logout, so the cookie goes too.
pub(super) async fn end_one(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Error> {
    let id = id
        .ok()
        .and_then(|Path(text)| session_id(&text))
        .ok_or(Error::NotFound)?;
    to_the_end(&gateway.clone(), async move {
        let (secret, own) = person(&gateway, &caller).await?;
        let request = RevokeSessionRequest {
            session_secret: secret.expose().to_owned(),
            session_id: id.clone(),
        };
        let mut sessions = gateway.auth.sessions();
        let answer = gateway.auth.within(sessions.revoke_session(request)).await;
        // Also when the answer was lost: a token less costs an exchange, no more. Only
        // an id that is the person's own may do so; others would be a way to sign out
        // strangers at this gateway.
        if own.id == id {
            gateway.exchange.forget_secret(secret.hash());
        }
        settled(&gateway, answer)?;
        gateway.exchange.session_ended(&id);
        Ok(ended(own.id == id))
    })
    .await
}

/// The answer to a change that ends sessions. If it was lost they may have ended, and
/// the repeated request will not learn which.
pub(super) fn settled<T>(gateway: &Gateway, answer: Result<T, Status>) -> Result<T, Error> {
    answer.map_err(|status| {
        if may_have_happened(&status) {
            gateway.exchange.forget_everything();
        }
        Error::Auth(status)
    })
}

fn ended(own: bool) -> Response {
    if own {
        (
            StatusCode::NO_CONTENT,
            [(header::SET_COOKIE, cookie::clear())],
        )
            .into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// `DELETE /auth/sessions`: all but this one.
pub(super) async fn end_others(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Error> {
    to_the_end(&gateway.clone(), async move {
        let (secret, _) = person(&gateway, &caller).await?;
        let request = RevokeOtherSessionsRequest {
            session_secret: secret.expose().to_owned(),
        };
        let mut sessions = gateway.auth.sessions();
        let answer = gateway
            .auth
            .within(sessions.revoke_other_sessions(request))
            .await;
        for id in &settled(&gateway, answer)?.ended_session_ids {
            gateway.exchange.session_ended(id);
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Session ids have one spelling. What is none cannot be found.
fn session_id(text: &str) -> Option<String> {
    let id = Uuid::try_parse(text).ok()?.hyphenated().to_string();
    (id == text).then_some(id)
}
