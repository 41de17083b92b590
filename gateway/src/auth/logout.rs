//! `POST /auth/logout`: the session ends, and the cookie goes.
//!
//! 204 also without a session: the wish is fulfilled. When the auth service is away
//! the answer is 503 and the cookie *stays*: a browser that lost it could never end the
//! session, which would live on for whoever else holds its secret.
//!
//! No `Clear-Site-Data`: `"cookies"` would take those of every other application under
//! the same registrable domain, and there is no cache to clear, because every answer
//! to a session says `no-store`.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use proto::auth::v1::EndSessionRequest;

use super::to_the_end;
use crate::{
    auth_client::is_session_invalid, cookie, credential::SessionSecret, error::Error,
    gateway::Shared, middleware::guard::Caller,
};

pub(super) async fn logout(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Error> {
    if let Some(secret) = caller.credential.session().cloned() {
        to_the_end(
            &gateway.clone(),
            async move { end(&gateway, &secret).await },
        )
        .await?;
    }
    Ok((
        StatusCode::NO_CONTENT,
        [(header::SET_COOKIE, cookie::clear())],
    )
        .into_response())
}

async fn end(gateway: &Shared, secret: &SessionSecret) -> Result<(), Error> {
    let request = EndSessionRequest {
        session_secret: secret.expose().to_owned(),
    };
    let mut sessions = gateway.auth.sessions();
    let answer = gateway.auth.within(sessions.end_session(request)).await;
    gateway.exchange.forget_secret(secret.hash());
    match answer {
        Ok(answer) => {
            if !answer.ended_session_id.is_empty() {
                gateway.exchange.session_ended(&answer.ended_session_id);
            }
            Ok(())
        }
        Err(status) if is_session_invalid(&status) => Ok(()),
        Err(status) => Err(Error::Auth(status)),
    }
}
