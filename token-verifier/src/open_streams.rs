//! The streams that are open, by session, so that a newer token of the session can
//! lengthen their lives.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::by_session::{BySession, Place};
use crate::claims::Claims;
use crate::verified::{Lease, VerifiedToken};

/// All open streams of one verifier.
#[derive(Debug, Default)]
pub(crate) struct OpenStreams {
    index: Arc<BySession<Open>>,
    names: RandomState,
}

/// One of them, until it is dropped.
pub(crate) struct OpenStream {
    place: Place<Open>,
}

struct Open {
    /// Whether `state` holds a token that the stream has not taken yet. Asked at every
    /// frame, so it costs no lock.
    renewed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// The one of the session that lives longest.
    newest: Lease,
    waker: Option<Waker>,
}

impl OpenStreams {
    /// Adds a stream that a token opened. One without a session cannot be renewed.
    pub(crate) fn add(&self, lease: &Lease) -> Option<OpenStream> {
        let session = self.name(lease.token.session_id()?);
        let open = Open {
            renewed: AtomicBool::new(false),
            state: Mutex::new(State {
                newest: lease.clone(),
                waker: None,
            }),
        };
        let place = self.index.insert(session, open);
        Some(OpenStream { place })
    }

    /// Tells the open streams of this token's session about it. Costs one load while no
    /// stream is open.
    pub(crate) fn renew(&self, token: &VerifiedToken, lease: impl FnOnce() -> Lease) {
        if self.index.len() == 0 {
            return;
        }
        let Some(session) = token.session_id() else {
            return;
        };
        let streams = self.index.of(self.name(session));
        if streams.is_empty() {
            return;
        }
        let lease = lease();
        for open in streams {
            open.renew(&lease);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Where a session stands. Two may share a place, so [`Open::renew`] compares.
    fn name(&self, session_id: &str) -> u128 {
        self.names.hash_one(session_id).into()
    }
}

impl OpenStream {
    /// Whom to wake when there is a newer token.
    pub(crate) fn listen(&self, waker: &Waker) {
        match &mut self.place.lock().waker {
            Some(held) => held.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// The newer token, once for each.
    pub(crate) fn take_newer(&self) -> Option<Lease> {
        let renewed = self.place.renewed.swap(false, Ordering::AcqRel);
        renewed.then(|| self.place.lock().newest.clone())
    }
}

impl Open {
    fn renew(&self, lease: &Lease) {
        let waker = {
            let mut state = self.lock();
            if !is_newer(lease, &state.newest) {
                return;
            }
            state.newest = lease.clone();
            state.waker.clone()
        };
        self.renewed.store(true, Ordering::Release);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `lease` says of the same caller that they may stay longer. Not by what the two
/// tokens say: the issuer's clock may have been set back between them.
fn is_newer(lease: &Lease, held: &Lease) -> bool {
    let (claims, known) = (lease.token.claims(), held.token.claims());
    is_alike(claims, known) && claims.token_id != known.token_id && lease.until > held.until
}

/// Whether a handler would do the same for both. A stream that was opened with more than
/// the newer token allows, or by somebody else in the caller's name, is not its stream.
fn is_alike(token: &Claims, held: &Claims) -> bool {
    token.session_id == held.session_id
        && token.subject == held.subject
        && token.client_id == held.client_id
        && token.actor == held.actor
        && token.scope == held.scope
}
