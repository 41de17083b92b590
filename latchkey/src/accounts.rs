//! `latchkey accounts`: who may sign in.

use proto::auth::v1::{
    AccountName, DisableAccountRequest, EnableAccountRequest, account_name::Name,
    operator_service_client::OperatorServiceClient,
};

use crate::{
    command_line::{self, Accounts, WhichAccount},
    connection::{self, Refused},
};

pub(crate) async fn run(command: Accounts) -> anyhow::Result<()> {
    match command {
        Accounts::Disable(which) => disable(which).await,
        Accounts::Enable(which) => enable(which).await,
    }
}

async fn disable(
    WhichAccount {
        account,
        connection,
    }: WhichAccount,
) -> anyhow::Result<()> {
    let account = Some(account.into());
    let mut operator = OperatorServiceClient::new(connection::open(&connection)?);
    let answer = operator
        .disable_account(DisableAccountRequest { account })
        .await
        .map_err(Refused::from)?
        .into_inner();
    println!(
        "{} is disabled; sessions ended: {}",
        answer.subject, answer.ended_sessions
    );
    Ok(())
}

async fn enable(
    WhichAccount {
        account,
        connection,
    }: WhichAccount,
) -> anyhow::Result<()> {
    let account = Some(account.into());
    let mut operator = OperatorServiceClient::new(connection::open(&connection)?);
    let answer = operator
        .enable_account(EnableAccountRequest { account })
        .await
        .map_err(Refused::from)?
        .into_inner();
    println!("{} may sign in", answer.subject);
    Ok(())
}

/// The command line takes exactly one of the two.
impl From<command_line::AccountName> for AccountName {
    fn from(account: command_line::AccountName) -> Self {
        let command_line::AccountName { email, subject } = account;
        let name = email.map(Name::Email).or(subject.map(Name::Subject));
        Self { name }
    }
}
