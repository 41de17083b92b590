//! `OperatorService.ListSigningKeys`, `RotateSigningKeys` and `RevokeSigningKey`.
//!
//! What happens to the keys, their keeper logs; here stands who asked for it.

use proto::auth::v1::{
    self, ListSigningKeysResponse, RevokeSigningKeyRequest, RevokeSigningKeyResponse,
    RotateSigningKeysResponse, SigningKeyState as StateMessage,
};
use tonic::Status;

use super::messages;
use crate::grpc::messages::timestamp;
use crate::signing_keys::{Keeper, KeyStatus, Rotated};
use crate::store::SigningKeyState;
use crate::workload::Workload;

pub(super) async fn list(keys: &Keeper) -> Result<ListSigningKeysResponse, Status> {
    let keys = keys.list().await?;
    Ok(ListSigningKeysResponse {
        keys: keys.into_iter().map(key).collect(),
    })
}

pub(super) async fn rotate(
    keys: &Keeper,
    caller: &Workload,
) -> Result<RotateSigningKeysResponse, Status> {
    let Rotated { upcoming, is_new } = keys.rotate().await?;
    if is_new {
        tracing::info!(
            event = "operator.keys_rotated",
            token.kid = upcoming.record.kid,
            workload = caller.name(),
            "an operator had the signing keys rotated"
        );
    }
    Ok(RotateSigningKeysResponse {
        upcoming: Some(key(upcoming)),
    })
}

pub(super) async fn revoke(
    keys: &Keeper,
    caller: &Workload,
    request: RevokeSigningKeyRequest,
) -> Result<RevokeSigningKeyResponse, Status> {
    let kid = messages::kid(&request.kid)?;
    let active = keys.revoke(kid).await?;
    tracing::info!(
        event = "operator.key_revoked",
        token.kid = kid,
        workload = caller.name(),
        "an operator had signing key {kid} revoked"
    );
    Ok(RevokeSigningKeyResponse {
        active: Some(key(active)),
    })
}

fn key(status: KeyStatus) -> v1::SigningKey {
    let KeyStatus {
        record,
        next_change_at,
    } = status;
    v1::SigningKey {
        kid: record.kid,
        algorithm: record.algorithm,
        state: state(record.state).into(),
        created_at: Some(timestamp(record.created_at)),
        activated_at: record.activated_at.map(timestamp),
        retiring_at: record.retiring_at.map(timestamp),
        next_change_at: next_change_at.map(timestamp),
    }
}

fn state(state: SigningKeyState) -> StateMessage {
    match state {
        SigningKeyState::Upcoming => StateMessage::Upcoming,
        SigningKeyState::Active => StateMessage::Active,
        SigningKeyState::Retiring => StateMessage::Retiring,
    }
}
