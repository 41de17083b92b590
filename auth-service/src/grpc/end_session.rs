//! `SessionService.EndSession`.

use proto::auth::v1::{EndSessionRequest, EndSessionResponse};
use tonic::Status;

use super::{Api, messages};

pub(super) async fn end_session(
    api: &Api,
    request: EndSessionRequest,
) -> Result<EndSessionResponse, Status> {
    // What is no secret opens nothing, so it is over already.
    let ended = match messages::secret(request.session_secret) {
        Some(secret) => api.sessions.end(&secret).await?,
        None => None,
    };
    let ended_session_id = ended.map(|id| id.to_string()).unwrap_or_default();
    Ok(EndSessionResponse { ended_session_id })
}
