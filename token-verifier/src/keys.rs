//! The current key set, shared by everything that verifies.
//!
//! Reading it is wait-free: a reader takes whichever set is current, and a refresh puts
//! a new one beside it and swaps the pointer. Nobody ever waits for a fetch.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::VerifyError;
use crate::key_set::{KeySet, VerifyingKey};
use crate::remote::{self, RemoteOptions};

/// The keys to verify with. Clones share them.
#[derive(Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

/// What readers and the driver of a remote set have in common.
#[derive(Default)]
pub(crate) struct Shared {
    current: ArcSwapOption<Current>,
    /// Rung when a token names a key that the current set lacks. It holds one ring,
    /// so a flood of them is as loud as one.
    pub(crate) unknown_kid: Notify,
}

struct Current {
    set: KeySet,
    /// From when on the set is too old to trust. `None` for a fixed set.
    usable_until: Option<Instant>,
}

impl Keys {
    /// Keys that never change.
    #[must_use]
    pub fn fixed(set: KeySet) -> Self {
        let shared = Shared::default();
        shared.install(set, None);
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Keys from a JWKS address, and the future that fetches and refreshes them.
    ///
    /// Spawn the future; it runs until it is dropped and never fails. Until its first
    /// success every token is refused with [`VerifyError::KeysUnavailable`].
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), token_verifier::RemoteError> {
    /// use token_verifier::{Keys, RemoteOptions};
    ///
    /// let options = RemoteOptions::new("http://localhost:8081/.well-known/jwks.json")?;
    /// let (keys, driver) = Keys::remote(options);
    /// tokio::spawn(driver);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remote(options: RemoteOptions) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::new(Shared::default());
        let driver = remote::drive(options, Arc::clone(&shared));
        (Self { shared }, driver)
    }

    /// Whether there are keys, and none too old to trust.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.is_ready()
    }

    /// The key of this name, or a ring of the bell for whoever fetches keys.
    pub(crate) fn find(&self, unverified_kid: &str) -> Result<Arc<VerifyingKey>, VerifyError> {
        let current = self.shared.current.load();
        let Some(current) = current.as_ref().filter(|current| current.is_usable()) else {
            return Err(VerifyError::KeysUnavailable);
        };
        if let Some(key) = current.set.get(unverified_kid) {
            return Ok(Arc::clone(key));
        }
        self.shared.unknown_kid.notify_one();
        Err(VerifyError::UnknownKid)
    }

    #[cfg(test)]
    pub(crate) fn sharing(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.shared.current.load();
        let set = current.as_ref().map(|current| &current.set);
        f.debug_tuple("Keys").field(&set).finish()
    }
}

impl Shared {
    pub(crate) fn install(&self, set: KeySet, usable_until: Option<Instant>) {
        let current = Current { set, usable_until };
        self.current.store(Some(Arc::new(current)));
    }

    /// The same keys, confirmed by the issuer.
    pub(crate) fn extend(&self, usable_until: Instant) {
        let set = self.current.load().as_ref().map(|held| held.set.clone());
        if let Some(set) = set {
            self.install(set, Some(usable_until));
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        let current = self.current.load();
        current.as_ref().is_some_and(|current| current.is_usable())
    }
}

impl Current {
    fn is_usable(&self) -> bool {
        // Asked here and not left to the driver: should that have died, its keys
        // must still end.
        self.usable_until.is_none_or(|until| Instant::now() < until)
    }
}
