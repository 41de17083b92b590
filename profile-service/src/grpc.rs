//! `latchkey.profile.v1.ProfileService`: one line an RPC here, one file an RPC beside it.
//!
//! Generated messages stay in here; everything further in speaks our own types.

mod get_profile;
mod message;
mod update_profile;

use std::sync::Arc;

use chassis::Clock;
use proto::profile::v1::{
    GetProfileRequest, GetProfileResponse, Profile, UpdateProfileRequest, UpdateProfileResponse,
    profile_service_server::{ProfileService, ProfileServiceServer},
};
use token_verifier::caller;
use tonic::{Request, Response, Status};

use crate::{
    merges::Merges,
    owner::Owner,
    profile::update::Violation,
    store::{ProfileStore, Served, StoreError, UpdateError},
};

/// The largest request that is read, on the wire and unpacked. A real one has some
/// four hundred bytes at most.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// What every RPC needs.
pub(crate) struct ProfileGrpc {
    pub(crate) store: Arc<dyn ProfileStore>,
    pub(crate) merges: Merges,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why an RPC has no answer. What the client sees of it is decided in `status.rs`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Fields that break their rules, by the names that a mask gives them.
    #[error("{} invalid fields", .0.len())]
    Invalid(Vec<Violation>),
    /// The token's subject can have no profile: `anonymous` or a workload.
    #[error("the subject cannot have a profile")]
    SessionRequired,
    #[error(transparent)]
    Update(#[from] UpdateError),
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Self::Update(error.into())
    }
}

impl ProfileGrpc {
    /// The server, with its limits. Compression stays off both ways: a request is
    /// smaller than its compressed form, and what is never unpacked cannot explode.
    pub(crate) fn into_server(self) -> ProfileServiceServer<Self> {
        ProfileServiceServer::new(self).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    fn answer(&self, owner: &Owner, served: Served) -> Profile {
        if served.is_merged {
            self.merges.count(owner);
        }
        message::profile(owner.subject(), served.profile)
    }
}

#[tonic::async_trait]
impl ProfileService for ProfileGrpc {
    async fn get_profile(
        &self,
        request: Request<GetProfileRequest>,
    ) -> Result<Response<GetProfileResponse>, Status> {
        let token = caller(&request)?;
        Ok(Response::new(
            get_profile::call(self, token.subject(), Owner::of(token)).await?,
        ))
    }

    async fn update_profile(
        &self,
        request: Request<UpdateProfileRequest>,
    ) -> Result<Response<UpdateProfileResponse>, Status> {
        let owner = Owner::of(caller(&request)?).ok_or(CallError::SessionRequired)?;
        Ok(Response::new(
            update_profile::call(self, &owner, &request.into_inner()).await?,
        ))
    }
}
