//! Who wants to know when a token is revoked while it is in use, and how they are woken.
//!
//! A subscriber leaves its waker here, then looks at what is revoked; the writer changes
//! what is revoked, then wakes. Whichever comes second sees the other, so no word is lost.
//! A revoked session wakes that session's subscribers alone. A revoked subject or key,
//! which only an operator causes, looks through all of them and wakes those it concerns.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crate::by_session::{BySession, Place};

/// Everybody who waits.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    index: Arc<BySession<Subscriber>>,
}

/// One who waits, until it is dropped.
pub(crate) struct Subscribed {
    place: Place<Subscriber>,
}

struct Subscriber {
    subject: u128,
    key: u128,
    waker: Mutex<Option<Waker>>,
}

impl Subscribers {
    /// Adds one whose token is of this session, if of any, of this subject, and signed
    /// with this key.
    pub(crate) fn add(&self, session: Option<u128>, subject: u128, key: u128) -> Subscribed {
        let waker = Mutex::default();
        let subscriber = Subscriber {
            subject,
            key,
            waker,
        };
        // Whoever has no session stands under the subject's name, where a revoked session
        // does not look: the two are different hashes.
        let place = self.index.insert(session.unwrap_or(subject), subscriber);
        Subscribed { place }
    }

    /// Wakes whoever uses a token of this session. Returns how many.
    pub(crate) fn wake_session(&self, session: u128) -> usize {
        wake(self.index.of(session))
    }

    /// Wakes whoever uses a token of this subject.
    pub(crate) fn wake_subject(&self, subject: u128) -> usize {
        wake(self.index.matching(|entry| entry.subject == subject))
    }

    /// Wakes whoever uses a token that this key signed.
    pub(crate) fn wake_key(&self, key: u128) -> usize {
        wake(self.index.matching(|entry| entry.key == key))
    }

    /// Wakes everybody: after a new snapshot, or when nothing can be answered any more.
    pub(crate) fn wake_all(&self) -> usize {
        wake(self.index.matching(|_| true))
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }
}

impl Subscribed {
    /// Whom to wake. To be called before looking at what is revoked.
    pub(crate) fn listen(&self, waker: &Waker) {
        let mut held = self
            .place
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(held) => held.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}

impl std::fmt::Debug for Subscribed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscribed").finish_non_exhaustive()
    }
}

impl Subscriber {
    /// The waker stays: one that is woken for nothing listens on.
    fn wake(&self) {
        let waker = self
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // Not under the lock: what a waker does is its owner's business.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn wake(subscribers: impl IntoIterator<Item = Arc<Subscriber>>) -> usize {
    subscribers
        .into_iter()
        .map(|subscriber| subscriber.wake())
        .count()
}

#[cfg(test)]
mod tests;
