//! `OperatorService.DisableAccount` and `EnableAccount`.

use proto::auth::v1::{
    DisableAccountRequest, DisableAccountResponse, EnableAccountRequest, EnableAccountResponse,
    disable_account_request, enable_account_request,
};
use tonic::Status;

use super::messages;
use crate::operator::{AccountName, Operator};
use crate::workload::Workload;

pub(super) async fn disable(
    operator: &Operator,
    caller: &Workload,
    request: DisableAccountRequest,
) -> Result<DisableAccountResponse, Status> {
    let name = to_disable(request)?;
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
    let name = to_enable(request)?;
    let subject = operator.enable_account(caller, name).await?;
    Ok(EnableAccountResponse {
        subject: subject.as_str().to_owned(),
    })
}

fn to_disable(request: DisableAccountRequest) -> Result<AccountName, Status> {
    use disable_account_request::Account;
    match request.account.ok_or_else(messages::no_account)? {
        Account::Email(email) => messages::account_by_email(&email),
        Account::Subject(subject) => messages::account_by_subject(&subject),
    }
}

fn to_enable(request: EnableAccountRequest) -> Result<AccountName, Status> {
    use enable_account_request::Account;
    match request.account.ok_or_else(messages::no_account)? {
        Account::Email(email) => messages::account_by_email(&email),
        Account::Subject(subject) => messages::account_by_subject(&subject),
    }
}
