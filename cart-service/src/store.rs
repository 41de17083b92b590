//! Where carts are kept, and the promises that every store keeps.

pub(crate) mod sqlite;

#[cfg(test)]
mod tests;

use std::error::Error;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    cart::{Cart, CartError, Change, Leftover},
    owner::Owner,
};

/// Carts by owner.
///
/// The merge of a guest's cart is part of both calls: if the owner brings a guest
/// whose cart nobody has taken over yet, it becomes part of the owner's cart in the
/// same transaction, the guest's rows go away, and the guest is marked as taken, for
/// good. So a merge happens once, whatever is retried, raced or cut short; and a
/// guest with nothing stored is not marked, so that reading alone never writes.
#[async_trait]
pub(crate) trait CartStore: Send + Sync + 'static {
    /// The owner's cart. Writes only if there is something to merge.
    async fn load(&self, owner: &Owner, now: Timestamp) -> Result<Served, StoreError>;

    /// Applies a change, all of it or nothing: after an error neither the owner's cart
    /// nor the guest's has changed. A change that changes nothing makes no row.
    async fn change(
        &self,
        owner: &Owner,
        change: Change,
        now: Timestamp,
    ) -> Result<Served, ChangeError>;
}

/// A cart as it is after the call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Served {
    /// The cart.
    pub(crate) cart: Cart,
    /// When it last changed, to the millisecond; `None` if nothing was ever written.
    pub(crate) updated_at: Option<Timestamp>,
    /// Set if this call took over a guest's cart: what did not fit.
    pub(crate) merged: Option<Leftover>,
}

/// Why a store does not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It is away, full or locked; trying again later makes sense. Nothing was changed, or it was not learnt
    /// whether a commit went through; either way the caller was told of no success.
    #[error("the cart store is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It refuses a statement of ours: a bug, or a schema that is not the one we made.
    #[error("the cart store refuses a statement")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// What is stored is no cart. A person has to look.
    #[error("the stored cart of {subject} is damaged")]
    Damaged {
        /// Whose it is.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// The owner is a guest whose cart a person has taken over. Accepting the write
    /// would lose it: nobody would ever see it again.
    #[error("the guest's cart has become a person's")]
    GuestMerged,
    /// The cart's rules say no.
    #[error(transparent)]
    Refused(#[from] CartError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
