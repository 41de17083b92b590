//! Where profiles are kept, and the promises that every store keeps.

pub(crate) mod sqlite;

#[cfg(test)]
mod tests;

use std::error::Error;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    owner::Owner,
    profile::{Profile, update::Update},
};

/// Profiles by owner.
///
/// The merge of a guest's profile is part of both calls: if the owner brings a guest
/// whose profile nobody has taken over yet, it fills the gaps of the owner's in the
/// same transaction, the guest's row goes away, and the guest is marked as taken, for
/// good. So a merge happens once, whatever is retried, raced or cut short; and a
/// guest with nothing stored is not marked, so that reading alone never writes.
#[async_trait]
pub(crate) trait ProfileStore: Send + Sync + 'static {
    /// The owner's profile. Writes only if there is something to merge.
    async fn load(&self, owner: &Owner, now: Timestamp) -> Result<Served, StoreError>;

    /// Merges, then sets the named fields: all of it or nothing. A value that is set
    /// here wins over the guest's.
    async fn update(
        &self,
        owner: &Owner,
        update: Update,
        now: Timestamp,
    ) -> Result<Served, UpdateError>;
}

/// A profile as it is after the call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Served {
    /// The profile.
    pub(crate) profile: Profile,
    /// Whether this call took over a guest's profile.
    pub(crate) is_merged: bool,
}

/// Why a store does not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It is away, full or locked; trying again later makes sense. Nothing was
    /// changed, or it was not learnt whether a commit went through; either way the
    /// caller was told of no success.
    #[error("the profile store is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It refuses a statement of ours: a bug, or a schema that is not the one we made.
    #[error("the profile store refuses a statement")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// Why an update did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateError {
    /// The owner is a guest whose profile a person has taken over. Accepting the write
    /// would lose it: nobody would ever see it again.
    #[error("the guest's profile has become a person's")]
    GuestMerged,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
