//! `OperatorService.DisableAccount` and `EnableAccount`.

use proto::auth::v1::{
    DisableAccountRequest, DisableAccountResponse, EnableAccountRequest, EnableAccountResponse,
};
use tonic::Status;

use super::messages;
use crate::operator::Operator;
use crate::workload::Workload;

pub(super) async fn disable(
    operator: &Operator,
    caller: &Workload,
    request: DisableAccountRequest,
) -> Result<DisableAccountResponse, Status> {
    let name = messages::account(request.account)?;
    let disabled = operator.disable_account(caller, name).await?;
    Ok(DisableAccountResponse {
        subject: disabled.subject.as_str().to_owned(),
        ended_sessions: messages::count(disabled.ended.len()),
    })
}

pub(super) async fn enable(
    operator: &Operator,
    caller: &Workload,
    request: EnableAccountRequest,
) -> Result<EnableAccountResponse, Status> {
    let name = messages::account(request.account)?;
    let subject = operator.enable_account(caller, name).await?;
    Ok(EnableAccountResponse {
        subject: subject.as_str().to_owned(),
    })
}
