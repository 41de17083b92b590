//! `POST /auth/register` and `POST /auth/login`: a new session, and the end of the one
//! that the cookie carried. A guest's state follows by `prior_sub`.

use axum::{Extension, body::Body, extract::State, response::Response};
use http::StatusCode;
use proto::auth::v1::{LoginRequest, RegisterRequest};

use super::{MAX_BODY, json, signed_in, to_the_end};
use crate::{
    credential::SessionSecret,
    error::Error,
    gateway::Shared,
    middleware::{body, guard::Caller},
};

/// 201 and a session.
pub(super) async fn register(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, Error> {
    let body = body::read(body, MAX_BODY, gateway.limits.body_timeout).await?;
    let form: json::Register = body::json(&body)?;
    form.check()?;
    let request = RegisterRequest {
        email: form.email,
        password: form.password,
        display_name: form.display_name,
        current_session_secret: current(&caller),
        client: Some((&caller.client).into()),
    };
    to_the_end(&gateway.clone(), async move {
        let mut accounts = gateway.auth.accounts();
        let answer = gateway.auth.within(accounts.register(request)).await;
        forget(&gateway, &caller);
        let answer = answer.map_err(Error::Auth)?;
        signed_in(StatusCode::CREATED, answer.user, answer.session)
    })
    .await
}

/// 200 and a session.
pub(super) async fn login(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, Error> {
    let body = body::read(body, MAX_BODY, gateway.limits.body_timeout).await?;
    let form: json::Login = body::json(&body)?;
    form.check()?;
    let request = LoginRequest {
        email: form.email,
        password: form.password,
        current_session_secret: current(&caller),
        client: Some((&caller.client).into()),
    };
    to_the_end(&gateway.clone(), async move {
        let mut accounts = gateway.auth.accounts();
        let answer = gateway.auth.within(accounts.login(request)).await;
        forget(&gateway, &caller);
        let answer = answer.map_err(Error::Auth)?;
        signed_in(StatusCode::OK, answer.user, answer.session)
    })
    .await
}

fn current(caller: &Caller) -> String {
    caller
        .credential
        .session()
        .map(SessionSecret::expose)
        .unwrap_or_default()
        .to_owned()
}

/// Also after a failure: the answer can be lost after the deed was done. A session
/// that is still live only costs another exchange.
fn forget(gateway: &Shared, caller: &Caller) {
    if let Some(old) = caller.credential.session() {
        gateway.exchange.forget_secret(old.hash());
    }
}
