//! `latchkey keys`: the keys that sign access tokens.

use anyhow::Context;
use jiff::Timestamp;
use proto::auth::v1::{
    ListSigningKeysRequest, RevokeSigningKeyRequest, RotateSigningKeysRequest, SigningKey,
    SigningKeyState, operator_service_client::OperatorServiceClient,
};
use serde::Serialize;

use crate::{
    command_line::{Keys, ListKeys, RevokeKey, RotateKeys},
    connection::{self, Refused},
};

pub(crate) async fn run(command: Keys) -> anyhow::Result<()> {
    match command {
        Keys::List(arguments) => list(arguments).await,
        Keys::Rotate(arguments) => rotate(arguments).await,
        Keys::Revoke(arguments) => revoke(arguments).await,
    }
}

async fn list(arguments: ListKeys) -> anyhow::Result<()> {
    let mut operator = OperatorServiceClient::new(connection::open(&arguments.connection)?);
    let answer = operator
        .list_signing_keys(ListSigningKeysRequest {})
        .await
        .map_err(Refused::from)?;
    let keys: Vec<Key> = answer
        .into_inner()
        .keys
        .into_iter()
        .map(Key::from)
        .collect();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&keys)?);
    } else {
        print!("{}", table(&keys));
    }
    Ok(())
}

async fn rotate(arguments: RotateKeys) -> anyhow::Result<()> {
    let mut operator = OperatorServiceClient::new(connection::open(&arguments.connection)?);
    let answer = operator
        .rotate_signing_keys(RotateSigningKeysRequest {})
        .await
        .map_err(Refused::from)?;
    let upcoming = answer
        .into_inner()
        .upcoming
        .context("an answer without a key")?;
    let Key {
        kid,
        next_change_at,
        ..
    } = upcoming.into();
    let signs = next_change_at.map(|at| format!(" and signs from {at}"));
    println!("{kid} is published{}", signs.unwrap_or_default());
    Ok(())
}

async fn revoke(arguments: RevokeKey) -> anyhow::Result<()> {
    let mut operator = OperatorServiceClient::new(connection::open(&arguments.connection)?);
    let kid = arguments.kid;
    let request = RevokeSigningKeyRequest { kid: kid.clone() };
    let answer = operator
        .revoke_signing_key(request)
        .await
        .map_err(Refused::from)?;
    let active = answer
        .into_inner()
        .active
        .context("an answer without a key")?;
    println!("{kid} is revoked; {} signs", active.kid);
    Ok(())
}

/// A key as it is shown. Times are RFC 3339, in whole seconds.
#[derive(Debug, Serialize)]
struct Key {
    kid: String,
    algorithm: String,
    state: &'static str,
    created_at: Option<String>,
    activated_at: Option<String>,
    retiring_at: Option<String>,
    next_change_at: Option<String>,
}

impl From<SigningKey> for Key {
    fn from(key: SigningKey) -> Self {
        Self {
            state: word(key.state()),
            kid: key.kid,
            algorithm: key.algorithm,
            created_at: key.created_at.and_then(text),
            activated_at: key.activated_at.and_then(text),
            retiring_at: key.retiring_at.and_then(text),
            next_change_at: key.next_change_at.and_then(text),
        }
    }
}

fn word(state: SigningKeyState) -> &'static str {
    match state {
        SigningKeyState::Unspecified => "unknown",
        SigningKeyState::Upcoming => "upcoming",
        SigningKeyState::Active => "active",
        SigningKeyState::Retiring => "retiring",
    }
}

fn text(timestamp: prost_types::Timestamp) -> Option<String> {
    let instant = Timestamp::from_second(timestamp.seconds).ok()?;
    Some(instant.to_string())
}

/// Columns as wide as what is in them.
fn table(keys: &[Key]) -> String {
    let heads = ["KID", "STATE", "ALGORITHM", "CREATED", "NEXT CHANGE"].map(str::to_owned);
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let rows = keys.iter().map(|key| {
        [
            key.kid.clone(),
            key.state.to_owned(),
            key.algorithm.clone(),
            cell(&key.created_at),
            cell(&key.next_change_at),
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(heads).chain(rows).collect();
    let widths: [usize; 5] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
