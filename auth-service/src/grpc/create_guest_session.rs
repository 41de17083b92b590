//! `SessionService.CreateGuestSession`.

use proto::auth::v1::{CreateGuestSessionRequest, CreateGuestSessionResponse};
use tonic::Status;

use super::{Api, messages};

pub(super) async fn create_guest_session(
    api: &Api,
    request: CreateGuestSessionRequest,
) -> Result<CreateGuestSessionResponse, Status> {
    let opened = api
        .sessions
        .create_guest(messages::client(request.client))
        .await?;
    api.metrics
        .session_created(messages::word(opened.session.kind));
    Ok(CreateGuestSessionResponse {
        session: Some(messages::opened(&opened)),
    })
}
