//! `SessionService.RevokeOtherSessions`.

use proto::auth::v1::{RevokeOtherSessionsRequest, RevokeOtherSessionsResponse};
use tonic::Status;

use super::{Api, messages};
use crate::status;

pub(super) async fn revoke_other_sessions(
    api: &Api,
    request: RevokeOtherSessionsRequest,
) -> Result<RevokeOtherSessionsResponse, Status> {
    let secret = messages::required_secret(request.session_secret)?;
    let ended = api.sessions.revoke_others(&secret).await?;
    let ended = ended.ok_or_else(status::session_invalid)?;
    Ok(RevokeOtherSessionsResponse {
        ended_session_ids: messages::ids(&ended),
    })
}
