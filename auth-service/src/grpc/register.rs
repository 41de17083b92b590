//! `AccountService.Register`.

use proto::auth::v1::{RegisterRequest, RegisterResponse};
use tonic::Status;

use super::{Api, messages};
use crate::accounts::Registration;
use crate::password::Password;

pub(super) async fn register(
    api: &Api,
    request: RegisterRequest,
) -> Result<RegisterResponse, Status> {
    let current = messages::secret(request.current_session_secret);
    let registration = Registration {
        email: &request.email,
        password: Password::received(request.password),
        display_name: &request.display_name,
        current: current.as_ref(),
        client: messages::client(request.client),
    };
    let (account, opened) = api.accounts.register(registration).await?;
    api.metrics
        .session_created(messages::word(opened.session.kind));
    Ok(RegisterResponse {
        user: Some(messages::user(&account)),
        session: Some(messages::opened(&opened)),
    })
}
