//! GetProfile: the caller's profile, with a guest's in its gaps from the first look on.

use proto::profile::v1::GetProfileResponse;
use token_verifier::Subject;

use super::{CallError, ProfileGrpc, message};
use crate::{owner::Owner, profile::Profile};

pub(super) async fn call(
    grpc: &ProfileGrpc,
    subject: &Subject,
    owner: Option<Owner>,
) -> Result<GetProfileResponse, CallError> {
    let profile = match owner {
        Some(owner) => {
            let served = grpc.store.load(&owner, grpc.clock.now()).await?;
            grpc.answer(&owner, served)
        }
        // Somebody who can have no profile sees the defaults, and no row is made.
        None => message::profile(subject, Profile::default()),
    };
    Ok(GetProfileResponse {
        profile: Some(profile),
    })
}
