//! `AccountService.ChangePassword`.

use proto::auth::v1::{ChangePasswordRequest, ChangePasswordResponse};
use tonic::Status;

use super::{Api, messages};
use crate::accounts::NewPassword;
use crate::password::Password;

pub(super) async fn change_password(
    api: &Api,
    request: ChangePasswordRequest,
) -> Result<ChangePasswordResponse, Status> {
    let current_password = Password::received(request.current_password);
    let new_password = Password::received(request.new_password);
    let secret = messages::required_secret(request.session_secret)?;
    let client = messages::client(request.client);
    let change = NewPassword {
        secret: &secret,
        current_password,
        new_password,
        client,
    };
    let (opened, ended) = api.accounts.change_password(change).await?;
    Ok(ChangePasswordResponse {
        session: Some(messages::opened(&opened)),
        ended_session_ids: messages::ids(&ended),
    })
}
