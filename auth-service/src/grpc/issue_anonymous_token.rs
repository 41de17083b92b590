//! `TokenService.IssueAnonymousToken`.

use proto::auth::v1::{IssueAnonymousTokenRequest, IssueAnonymousTokenResponse};
use tonic::Status;

use super::{Api, messages};
use crate::tokens::TokenError;
use crate::workload::Workload;

pub(super) fn issue_anonymous_token(
    api: &Api,
    caller: &Workload,
    request: IssueAnonymousTokenRequest,
) -> Result<IssueAnonymousTokenResponse, Status> {
    let result = api.tokens.anonymous(caller, &request.audience);
    let word = result
        .as_ref()
        .map_or_else(TokenError::reason, |_| "anonymous");
    api.metrics.exchange(word);
    let token = result?;
    Ok(IssueAnonymousTokenResponse {
        expires_in: Some(messages::duration(token.expires_in())),
        key_id: token.key_id().to_owned(),
        issued_at: Some(messages::timestamp(token.issued_at())),
        access_token: token.into_string(),
    })
}
