//! Waiting for a token to be revoked.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::subscriptions::Subscribed;
use super::{RevocationError, RevocationKeys, Revocations};

/// Waits for one token to be revoked, for as long as something is open on its strength.
/// Woken for its own session, subject or key alone, and when nothing can be answered any
/// more.
#[derive(Debug)]
pub struct Subscription {
    revocations: Revocations,
    keys: RevocationKeys,
    subscribed: Subscribed,
}

impl Subscription {
    pub(super) fn new(revocations: Revocations, keys: RevocationKeys) -> Self {
        let subscribers = revocations.subscribers();
        let subscribed = subscribers.add(keys.session, keys.subject, keys.key);
        Self {
            revocations,
            keys,
            subscribed,
        }
    }

    /// Why the token is good no longer, once it is not.
    pub async fn ended(&mut self) -> RevocationError {
        poll_fn(|context| self.poll_ended(context)).await
    }

    /// The same, for those who poll by hand.
    pub fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<RevocationError> {
        // In this order: whoever revokes writes first and wakes after.
        self.subscribed.listen(context.waker());
        match self.revocations.check(&self.keys) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }
}
