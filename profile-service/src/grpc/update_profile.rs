//! UpdateProfile: the fields that the mask names and no others.

use proto::profile::v1::{UpdateProfileRequest, UpdateProfileResponse};

use super::{CallError, ProfileGrpc, message};
use crate::{owner::Owner, profile::update::Update};

pub(super) async fn call(
    grpc: &ProfileGrpc,
    owner: &Owner,
    request: &UpdateProfileRequest,
) -> Result<UpdateProfileResponse, CallError> {
    let update = Update::read(message::paths(request), message::unchecked_values(request))
        .map_err(CallError::Invalid)?;
    let served = grpc.store.update(owner, update, grpc.clock.now()).await?;
    Ok(UpdateProfileResponse {
        profile: Some(grpc.answer(owner, served)),
    })
}
