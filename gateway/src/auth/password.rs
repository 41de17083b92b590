//! `POST /auth/password`: a new password, a new cookie, and no other session left.

use axum::{
    Extension,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use proto::auth::v1::ChangePasswordRequest;

use super::{MAX_BODY, json, new_session, person, sessions::settled, to_the_end};
use crate::{
    cookie,
    error::Error,
    gateway::Shared,
    middleware::{body, guard::Caller},
};

pub(super) async fn change(
    State(gateway): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, Error> {
    let body = body::read(body, MAX_BODY, gateway.limits.body_timeout).await?;
    let form: json::ChangePassword = body::json(&body)?;
    form.check()?;
    to_the_end(&gateway.clone(), async move {
        let (old, _) = person(&gateway, &caller).await?;
        let request = ChangePasswordRequest {
            session_secret: old.expose().to_owned(),
            current_password: form.current_password,
            new_password: form.new_password,
            client: Some((&caller.client).into()),
        };
        let mut accounts = gateway.auth.accounts();
        let answer = gateway.auth.within(accounts.change_password(request)).await;
        gateway.exchange.forget_secret(old.hash());
        let answer = settled(&gateway, answer)?;
        for id in &answer.ended_session_ids {
            gateway.exchange.session_ended(id);
        }
        let (_, secret) = new_session(answer.session)?;
        let cookie = [(header::SET_COOKIE, cookie::set(&secret))];
        Ok((StatusCode::NO_CONTENT, cookie).into_response())
    })
    .await
}
