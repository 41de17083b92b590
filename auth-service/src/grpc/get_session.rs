//! `SessionService.GetSession`.

use proto::auth::v1::{GetSessionRequest, GetSessionResponse};
use tonic::Status;

use super::{Api, messages};
use crate::session::{Session, SessionKind};
use crate::status;

pub(super) async fn get_session(
    api: &Api,
    request: GetSessionRequest,
) -> Result<GetSessionResponse, Status> {
    let secret = messages::required_secret(request.session_secret)?;
    let session = api
        .sessions
        .get(&secret)
        .await?
        .ok_or_else(status::session_invalid)?;
    let user = user(api, &session).await?;
    Ok(GetSessionResponse {
        session: Some(messages::session(&session, session.id)),
        user,
    })
}

async fn user(api: &Api, session: &Session) -> Result<Option<proto::auth::v1::User>, Status> {
    match session.kind {
        SessionKind::Guest => Ok(None),
        SessionKind::User => {
            let account = api.accounts.find(&session.subject).await?;
            // Deleting an account ends its sessions; this one was read a moment before.
            let account = account.ok_or_else(status::session_invalid)?;
            Ok(Some(messages::user(&account)))
        }
    }
}
