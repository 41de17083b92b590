//! `SessionService.RevokeSession`.

use proto::auth::v1::{RevokeSessionRequest, RevokeSessionResponse};
use tonic::Status;

use super::{Api, messages};
use crate::session::{SessionId, SessionSecret};
use crate::sessions::Revoked;
use crate::status;
use crate::store::StoreError;

pub(super) async fn revoke_session(
    api: &Api,
    request: RevokeSessionRequest,
) -> Result<RevokeSessionResponse, Status> {
    let secret = messages::required_secret(request.session_secret)?;
    match revoke(api, &secret, &request.session_id).await? {
        Some(Revoked::Done) => Ok(RevokeSessionResponse {}),
        Some(Revoked::NotFound) => Err(status::session_not_found()),
        None => Err(status::session_invalid()),
    }
}

/// An id that cannot be one is nobody's, which only somebody with a session learns.
async fn revoke(
    api: &Api,
    secret: &SessionSecret,
    id: &str,
) -> Result<Option<Revoked>, StoreError> {
    match SessionId::parse(id) {
        Some(id) => api.sessions.revoke(secret, id).await,
        None => Ok(api.sessions.get(secret).await?.map(|_| Revoked::NotFound)),
    }
}
