//! `TokenService.ExchangeSession`.

use proto::auth::v1::{ExchangeSessionRequest, ExchangeSessionResponse};
use tonic::Status;

use super::{Api, messages};
use crate::tokens::TokenError;
use crate::workload::Workload;

pub(super) async fn exchange_session(
    api: &Api,
    caller: &Workload,
    request: ExchangeSessionRequest,
) -> Result<ExchangeSessionResponse, Status> {
    let secret = messages::secret(request.session_secret);
    let result = api
        .tokens
        .exchange(caller, secret.as_ref(), &request.audience)
        .await;
    api.metrics
        .exchange(result.as_ref().map_or_else(TokenError::reason, |_| "ok"));
    let exchanged = result?;
    Ok(ExchangeSessionResponse {
        expires_in: Some(messages::duration(exchanged.token.expires_in())),
        key_id: exchanged.token.key_id().to_owned(),
        issued_at: Some(messages::timestamp(exchanged.token.issued_at())),
        access_token: exchanged.token.into_string(),
        kind: messages::kind(exchanged.session.kind).into(),
        session_id: exchanged.session.id.to_string(),
        subject: exchanged.session.subject.as_str().to_owned(),
    })
}
