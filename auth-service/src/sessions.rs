//! Sessions as their holders use them: make, look at, end.
//!
//! Everything here but making a guest starts from a secret. One that is unknown,
//! expired or ended is `None`, always; a store that is away is an error, never `None`.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use token_verifier::Clock;
use tracing::{info, warn};

use crate::accounts::OpenedSession;
use crate::entropy::Entropy;
use crate::limits::{LimitError, Limits};
use crate::session::{Client, SecretHash, Session, SessionId, SessionSecret, SessionTtls};
use crate::store::{NewSession, SessionStore, StoreError};

/// Why there is no guest session.
#[derive(Debug, thiserror::Error)]
pub enum CreateGuestError {
    /// Too many from this source.
    #[error("too many guest sessions")]
    TooMany {
        /// When the next one may come.
        retry_after: Duration,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LimitError> for CreateGuestError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::TooMany { retry_after } => Self::TooMany { retry_after },
            LimitError::Store(error) => Self::Store(error),
        }
    }
}

/// How [`Sessions::revoke`] went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The session is over.
    Done,
    /// The asking subject has no live session with this id.
    NotFound,
}

/// How many rows one batch of [`Sessions::purge`] deletes: some milliseconds of the
/// only writer's time.
pub const PURGE_BATCH: u32 = 500;

/// Sessions.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    limits: Limits,
    ttls: SessionTtls,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// Puts the parts together.
    pub fn new(
        store: Arc<dyn SessionStore>,
        limits: Limits,
        ttls: SessionTtls,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            limits,
            ttls,
            entropy,
            clock,
        }
    }

    /// Makes a session for somebody who has not signed in.
    pub async fn create_guest(&self, client: Client) -> Result<OpenedSession, CreateGuestError> {
        let now = self.clock.now();
        self.limits.guest(&client, now).await?;
        let secret = SessionSecret::generate(&*self.entropy);
        let session = Session::guest(client, now, &self.ttls, &*self.entropy);
        let record = NewSession {
            session: session.clone(),
            secret_hash: secret.hash(),
            replaces: None,
        };
        self.store.create_session(&record).await?;
        info!(event = "session.guest_created", session.id = %session.id, "guest session made");
        Ok(OpenedSession { session, secret })
    }

    /// The live session of a secret. Counts as a use of it: one indexed read, and a
    /// write only when the last one is some time ago.
    pub async fn get(&self, secret: &SessionSecret) -> Result<Option<Session>, StoreError> {
        self.find_live(&secret.hash(), self.clock.now()).await
    }

    /// Whether a secret that opens nothing was given up just now for another one, which
    /// opens a live session.
    pub async fn is_replaced(&self, secret: &SessionSecret) -> Result<bool, StoreError> {
        let successor = self.store.find_successor(&secret.hash()).await?;
        let now = self.clock.now();
        Ok(successor
            .is_some_and(|session| session.is_live(now) && session.is_just_authenticated(now)))
    }

    /// The live sessions of the same subject, newest first, and the asking one.
    pub async fn list(
        &self,
        secret: &SessionSecret,
    ) -> Result<Option<(Session, Vec<Session>)>, StoreError> {
        let now = self.clock.now();
        let Some(session) = self.find_live(&secret.hash(), now).await? else {
            return Ok(None);
        };
        let sessions = self.store.list_sessions(&session.subject, now).await?;
        Ok(Some((session, sessions)))
    }

    /// Ends the session of a secret, or the one that just took its place: who signs out
    /// while a sign-in or a password change is under way is signed out. None: neither
    /// was live, nor is it afterwards.
    pub async fn end(&self, secret: &SessionSecret) -> Result<Option<SessionId>, StoreError> {
        let now = self.clock.now();
        let ended = self.store.sign_out(&secret.hash(), now).await?;
        if let Some(id) = ended {
            info!(event = "session.ended", session.id = %id, "signed out");
        }
        Ok(ended)
    }

    /// Ends one session of the same subject, perhaps the asking one. None: the asking
    /// session is not live.
    pub async fn revoke(
        &self,
        secret: &SessionSecret,
        id: SessionId,
    ) -> Result<Option<Revoked>, StoreError> {
        let now = self.clock.now();
        let Some(session) = self.find_live(&secret.hash(), now).await? else {
            return Ok(None);
        };
        if !self.store.end_session_of(&session.subject, id, now).await? {
            return Ok(Some(Revoked::NotFound));
        }
        info!(
            event = "session.revoked",
            subject = session.subject.as_str(),
            session.id = %id,
            by = %session.id,
            "session revoked"
        );
        Ok(Some(Revoked::Done))
    }

    /// Ends all sessions of the same subject but the asking one. None: that one is
    /// not live.
    pub async fn revoke_others(
        &self,
        secret: &SessionSecret,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        let now = self.clock.now();
        let Some(session) = self.find_live(&secret.hash(), now).await? else {
            return Ok(None);
        };
        let ended = self
            .store
            .end_other_sessions(&session.subject, session.id, now)
            .await?;
        if let Some(ended) = &ended {
            info!(
                event = "session.others_revoked",
                subject = session.subject.as_str(),
                session.id = %session.id,
                ended = ended.len(),
                "other sessions revoked"
            );
        }
        Ok(ended)
    }

    /// Ends one batch of expired sessions; call again while it is full
    /// ([`PURGE_BATCH`]), with something else in between.
    pub async fn purge(&self) -> Result<Vec<SessionId>, StoreError> {
        let now = self.clock.now();
        self.store.end_expired_sessions(now, PURGE_BATCH).await
    }

    async fn find_live(
        &self,
        secret: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let Some(session) = self.store.find_session(secret).await? else {
            return Ok(None);
        };
        if !session.is_live(now) {
            self.bury(secret, &session, now).await;
            return Ok(None);
        }
        Ok(Some(self.touch(session, now).await))
    }

    /// A session once seen expired stays so, even if the clock goes back afterwards.
    async fn bury(&self, secret: &SecretHash, session: &Session, now: Timestamp) {
        match self.store.end_session(secret, now).await {
            Ok(_) => {
                info!(event = "session.expired", session.id = %session.id, "session expired");
            }
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                session.id = %session.id,
                "expired session not ended"
            ),
        }
    }

    /// Writes the use down if that is due. A failed write is logged and no more: the
    /// read has answered the question, and a disk that is full must not sign people
    /// out or stop the exchange. The next use tries again.
    async fn touch(&self, session: Session, now: Timestamp) -> Session {
        let Some(touch) = session.touch(now, &self.ttls) else {
            return session;
        };
        match self.store.touch_session(&touch).await {
            Ok(true) => session.touched(touch),
            Ok(false) => session,
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    session.id = %session.id,
                    "use of a session not written down"
                );
                session
            }
        }
    }
}
