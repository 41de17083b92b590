//! `SessionService.ListSessions`.

use proto::auth::v1::{ListSessionsRequest, ListSessionsResponse};
use tonic::Status;

use super::{Api, messages};
use crate::status;

pub(super) async fn list_sessions(
    api: &Api,
    request: ListSessionsRequest,
) -> Result<ListSessionsResponse, Status> {
    let secret = messages::required_secret(request.session_secret)?;
    let listed = api.sessions.list(&secret).await?;
    let (asking, sessions) = listed.ok_or_else(status::session_invalid)?;
    let sessions = sessions
        .iter()
        .map(|session| messages::session(session, asking.id))
        .collect();
    Ok(ListSessionsResponse { sessions })
}
