//! `OperatorService.RevokeSession` and `RevokeSubject`.

use proto::auth::v1::{
    OperatorRevokeSessionRequest, OperatorRevokeSessionResponse, RevokeSubjectRequest,
    RevokeSubjectResponse,
};
use tonic::Status;

use super::messages;
use crate::operator::Operator;
use crate::workload::Workload;

pub(super) async fn revoke_session(
    operator: &Operator,
    caller: &Workload,
    request: OperatorRevokeSessionRequest,
) -> Result<OperatorRevokeSessionResponse, Status> {
    let id = messages::session_id(&request.session_id)?;
    operator.revoke_session(caller, id).await?;
    Ok(OperatorRevokeSessionResponse {})
}

pub(super) async fn revoke_subject(
    operator: &Operator,
    caller: &Workload,
    request: RevokeSubjectRequest,
) -> Result<RevokeSubjectResponse, Status> {
    let subject = messages::subject(&request.subject)?;
    let ended = operator.revoke_subject(caller, &subject).await?;
    Ok(RevokeSubjectResponse {
        ended_sessions: messages::count(ended.len()),
    })
}
