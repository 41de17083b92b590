//! `latchkey accounts`: who may sign in.

use anyhow::bail;
use proto::auth::v1::{
    DisableAccountRequest, EnableAccountRequest, disable_account_request, enable_account_request,
    operator_service_client::OperatorServiceClient,
};

use crate::{
    command_line::{AccountName, Accounts, WhichAccount},
    connection::{self, Refused},
};

pub(crate) async fn run(command: Accounts) -> anyhow::Result<()> {
    match command {
        Accounts::Disable(which) => disable(which).await,
        Accounts::Enable(which) => enable(which).await,
    }
}

async fn disable(which: WhichAccount) -> anyhow::Result<()> {
    use disable_account_request::Account;
    let account = match which.account {
        AccountName {
            email: Some(email), ..
        } => Account::Email(email),
        AccountName {
            subject: Some(subject),
            ..
        } => Account::Subject(subject),
        AccountName { .. } => bail!("neither --email nor --subject was given"),
    };
    let request = DisableAccountRequest {
        account: Some(account),
    };
    let mut operator = OperatorServiceClient::new(connection::open(&which.connection)?);
    let answer = operator
        .disable_account(request)
        .await
        .map_err(Refused::from)?
        .into_inner();
    println!(
        "{} is disabled; sessions ended: {}",
        answer.subject, answer.ended_sessions
    );
    Ok(())
}

async fn enable(which: WhichAccount) -> anyhow::Result<()> {
    use enable_account_request::Account;
    let account = match which.account {
        AccountName {
            email: Some(email), ..
        } => Account::Email(email),
        AccountName {
            subject: Some(subject),
            ..
        } => Account::Subject(subject),
        AccountName { .. } => bail!("neither --email nor --subject was given"),
    };
    let request = EnableAccountRequest {
        account: Some(account),
    };
    let mut operator = OperatorServiceClient::new(connection::open(&which.connection)?);
    let answer = operator
        .enable_account(request)
        .await
        .map_err(Refused::from)?
        .into_inner();
    println!("{} may sign in", answer.subject);
    Ok(())
}
