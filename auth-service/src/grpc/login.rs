//! `AccountService.Login`.

use proto::auth::v1::{LoginRequest, LoginResponse};
use tonic::Status;

use super::{Api, messages};
use crate::accounts::{Login, LoginError};
use crate::password::Password;

pub(super) async fn login(api: &Api, request: LoginRequest) -> Result<LoginResponse, Status> {
    let current = messages::secret(request.current_session_secret);
    let login = Login {
        email: &request.email,
        password: Password::received(request.password),
        current: current.as_ref(),
        client: messages::client(request.client),
    };
    let result = api.accounts.login(login).await;
    api.metrics
        .login(result.as_ref().map_or_else(word, |_| "ok"));
    let (account, opened) = result?;
    api.metrics
        .session_created(messages::word(opened.session.kind));
    Ok(LoginResponse {
        user: Some(messages::user(&account)),
        session: Some(messages::opened(&opened)),
    })
}

/// The word for a refusal in metrics.
fn word(error: &LoginError) -> &'static str {
    match error {
        LoginError::Invalid(_) => "invalid",
        LoginError::Refused => "refused",
        LoginError::AlreadySignedIn => "already_signed_in",
        LoginError::TooMany { .. } => "too_many",
        LoginError::Shed { .. } => "shed",
        LoginError::Store(_) => "store",
        LoginError::Internal(_) => "internal",
    }
}
