//! `latchkey token`: signs in and exchanges over gRPC, as the gateway would.

use std::io::{self, BufRead, Read};

use anyhow::Context;
use proto::auth::v1::{
    ClientInfo, CreateGuestSessionRequest, ExchangeSessionRequest, LoginRequest, NewSession,
    account_service_client::AccountServiceClient, session_service_client::SessionServiceClient,
    token_service_client::TokenServiceClient,
};

use crate::{
    command_line,
    connection::{self, Refused},
};

/// Longer than any password that the auth service takes.
const MAX_PASSWORD_LINE_BYTES: u64 = 4096;

pub(crate) async fn run(arguments: command_line::Token) -> anyhow::Result<()> {
    let auth = connection::open(&arguments.connection)?;
    let client = Some(ClientInfo {
        // Not known from here, and nobody is told apart by it.
        address: String::new(),
        user_agent: concat!("latchkey token/", env!("CARGO_PKG_VERSION")).to_owned(),
    });
    let session = match arguments.email {
        None => {
            SessionServiceClient::new(auth.clone())
                .create_guest_session(CreateGuestSessionRequest { client })
                .await
                .map_err(Refused::from)?
                .into_inner()
                .session
        }
        Some(email) => {
            let password = read_password(arguments.password_stdin)?;
            let login = LoginRequest {
                email,
                password,
                client,
                current_session_secret: String::new(),
            };
            let answer = AccountServiceClient::new(auth.clone()).login(login).await;
            answer.map_err(Refused::from)?.into_inner().session
        }
    };
    let NewSession { session_secret, .. } = session.context("an answer without a session")?;
    let exchange = ExchangeSessionRequest {
        session_secret,
        audience: arguments.audience,
    };
    let token = TokenServiceClient::new(auth)
        .exchange_session(exchange)
        .await
        .map_err(Refused::from)?;
    println!("{}", token.into_inner().access_token);
    Ok(())
}

fn read_password(from_stdin: bool) -> anyhow::Result<String> {
    if !from_stdin {
        return rpassword::prompt_password("password: ").context("cannot ask for the password");
    }
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(MAX_PASSWORD_LINE_BYTES)
        .read_line(&mut line)?;
    // Only the line's own end: a password may end in a space.
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
