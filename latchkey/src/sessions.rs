//! `latchkey sessions`: what an operator ends by hand.

use anyhow::bail;
use proto::auth::v1::{
    OperatorRevokeSessionRequest, RevokeSubjectRequest,
    operator_service_client::OperatorServiceClient,
};

use crate::{
    command_line::{RevokeSessions, Sessions, WhichSessions},
    connection::{self, Auth, Refused},
};

pub(crate) async fn run(command: Sessions) -> anyhow::Result<()> {
    let Sessions::Revoke(RevokeSessions { which, connection }) = command;
    let operator = OperatorServiceClient::new(connection::open(&connection)?);
    match which {
        WhichSessions { id: Some(id), .. } => revoke_session(operator, id).await,
        WhichSessions {
            subject: Some(subject),
            ..
        } => revoke_subject(operator, subject).await,
        WhichSessions { .. } => bail!("neither --id nor --subject was given"),
    }
}

async fn revoke_session(
    mut operator: OperatorServiceClient<Auth>,
    session_id: String,
) -> anyhow::Result<()> {
    let request = OperatorRevokeSessionRequest {
        session_id: session_id.clone(),
    };
    operator
        .revoke_session(request)
        .await
        .map_err(Refused::from)?;
    println!("session {session_id} is revoked");
    Ok(())
}

async fn revoke_subject(
    mut operator: OperatorServiceClient<Auth>,
    subject: String,
) -> anyhow::Result<()> {
    let request = RevokeSubjectRequest {
        subject: subject.clone(),
    };
    let answer = operator
        .revoke_subject(request)
        .await
        .map_err(Refused::from)?;
    let ended = answer.into_inner().ended_sessions;
    println!("every token of {subject} is revoked; sessions ended: {ended}");
    Ok(())
}
