//! Registering, signing in and changing passwords: what must be checked and
//! counted, in which order, before the store is asked to make it so.
//!
//! Events go to the log under `event`, with subjects and session ids and never an
//! address, a password or a secret.

mod change_password;
mod register;
mod sign_in;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use token_verifier::{Clock, Subject};
use tracing::warn;

use crate::account::Account;
use crate::entropy::Entropy;
use crate::limits::{Attempt, LimitError, Limits};
use crate::password::{HashingError, HashingPool, Password};
use crate::session::{Client, Session, SessionSecret, SessionTtls};
use crate::store::{AccountStore, BoxedError, NewSession, SessionStore, StoreError};

/// A field that a client must correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the request.
    pub field: &'static str,
    /// What is wrong with it, as a sentence for people.
    pub description: String,
}

impl Violation {
    fn new(field: &'static str, problem: impl std::fmt::Display) -> Self {
        Self {
            field,
            description: problem.to_string(),
        }
    }
}

/// A session and the only copy of its secret.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// What it is.
    pub session: Session,
    /// What opens it.
    pub secret: SessionSecret,
}

/// Why there is no new account.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Something in the request is not acceptable.
    #[error("the request is invalid")]
    Invalid(Vec<Violation>),
    /// Somebody has that address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The current session is a person's.
    #[error("somebody is signed in")]
    AlreadySignedIn,
    /// Too many registrations from this source.
    #[error("too many registrations")]
    TooMany {
        /// When the next one may come.
        retry_after: Duration,
    },
    /// The hashing queue is full.
    #[error("too many passwords are being hashed")]
    Shed {
        /// When to try again.
        retry_after: Duration,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our bug.
    #[error("registration failed")]
    Internal(#[source] BoxedError),
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Something in the request cannot be an address or a password.
    #[error("the request is invalid")]
    Invalid(Vec<Violation>),
    /// Unknown address, wrong password or disabled account: one answer for all.
    #[error("sign-in refused")]
    Refused,
    /// The password was right, but the current session is another person's.
    #[error("somebody else is signed in")]
    AlreadySignedIn,
    /// Too many wrong tries.
    #[error("too many attempts")]
    TooMany {
        /// When the next one may come.
        retry_after: Duration,
    },
    /// The hashing queue is full.
    #[error("too many passwords are being hashed")]
    Shed {
        /// When to try again.
        retry_after: Duration,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our bug.
    #[error("sign-in failed")]
    Internal(#[source] BoxedError),
}

/// Why the password stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// Something in the request is not acceptable.
    #[error("the request is invalid")]
    Invalid(Vec<Violation>),
    /// No person's live session has this secret.
    #[error("no such session")]
    SessionInvalid,
    /// The current password is not that.
    #[error("the current password is wrong")]
    PasswordWrong,
    /// Too many wrong tries.
    #[error("too many attempts")]
    TooMany {
        /// When the next one may come.
        retry_after: Duration,
    },
    /// The hashing queue is full.
    #[error("too many passwords are being hashed")]
    Shed {
        /// When to try again.
        retry_after: Duration,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our bug.
    #[error("the password change failed")]
    Internal(#[source] BoxedError),
}

/// A request to make an account, as received.
#[derive(Debug)]
pub struct Registration<'a> {
    /// Unchecked.
    pub email: &'a str,
    /// Unchecked, but already a type that prints nothing.
    pub password: Password,
    /// Unchecked.
    pub display_name: &'a str,
    /// The session that the cookie carried, if it can be one.
    pub current: Option<&'a SessionSecret>,
    /// Where the request came from.
    pub client: Client,
}

/// A request to sign in, as received.
#[derive(Debug)]
pub struct Login<'a> {
    /// Unchecked.
    pub email: &'a str,
    /// Unchecked, but already a type that prints nothing.
    pub password: Password,
    /// The session that the cookie carried, if it can be one.
    pub current: Option<&'a SessionSecret>,
    /// Where the request came from.
    pub client: Client,
}

/// A request to change a password, as received.
#[derive(Debug)]
pub struct NewPassword<'a> {
    /// The session whose person it is.
    pub secret: &'a SessionSecret,
    /// As it is now.
    pub current_password: Password,
    /// As it shall be.
    pub new_password: Password,
    /// Where the request came from.
    pub client: Client,
}

/// People's accounts.
#[derive(Clone)]
pub struct Accounts {
    accounts: Arc<dyn AccountStore>,
    sessions: Arc<dyn SessionStore>,
    limits: Limits,
    hashing: HashingPool,
    ttls: SessionTtls,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
}

/// What [`Accounts`] works with.
#[derive(Clone)]
pub struct AccountsParts {
    /// Where accounts rest.
    pub accounts: Arc<dyn AccountStore>,
    /// Where sessions rest.
    pub sessions: Arc<dyn SessionStore>,
    /// What counts guesses.
    pub limits: Limits,
    /// What hashes passwords.
    pub hashing: HashingPool,
    /// How long sessions last.
    pub ttls: SessionTtls,
    /// Where secrets come from.
    pub entropy: Arc<dyn Entropy>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// How often a step is tried again when the session it replaces ends meanwhile. Then
/// there is no session to replace, so the second try cannot meet the same fate.
const ATTEMPTS: usize = 2;

impl Accounts {
    /// Puts the parts together.
    pub fn new(parts: AccountsParts) -> Self {
        let AccountsParts {
            accounts,
            sessions,
            limits,
            hashing,
            ttls,
            entropy,
            clock,
        } = parts;
        Self {
            accounts,
            sessions,
            limits,
            hashing,
            ttls,
            entropy,
            clock,
        }
    }

    /// The account of a person's subject.
    pub async fn find(&self, subject: &Subject) -> Result<Option<Account>, StoreError> {
        self.accounts.find_account(subject).await
    }

    /// The session of a secret, if it is live. What is unknown or over is nothing:
    /// a stale cookie must not keep anybody from signing in.
    async fn live_session(
        &self,
        secret: Option<&SessionSecret>,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let Some(secret) = secret else {
            return Ok(None);
        };
        let session = self.sessions.find_session(&secret.hash()).await?;
        Ok(session.filter(|session| session.is_live(now)))
    }

    fn open(
        &self,
        subject: &Subject,
        client: &Client,
        prior_subject: Option<Subject>,
        replaces: Option<&SessionSecret>,
        now: Timestamp,
    ) -> (OpenedSession, NewSession) {
        let secret = SessionSecret::generate(&*self.entropy);
        let session = Session::user(
            subject.clone(),
            client.clone(),
            prior_subject,
            now,
            &self.ttls,
            &*self.entropy,
        );
        let record = NewSession {
            session: session.clone(),
            secret_hash: secret.hash(),
            replaces: replaces.map(SessionSecret::hash),
        };
        (OpenedSession { session, secret }, record)
    }

    /// Gives a guess back that nobody looked at. If even that fails, it stays counted:
    /// the caller already gets an error that says to try again.
    async fn give_back(&self, attempt: &Attempt) {
        if let Err(error) = self.limits.not_tried(attempt, self.clock.now()).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "attempt not given back"
            );
        }
    }
}

macro_rules! from_limits_and_hashing {
    ($($error:ident),*) => {$(
        impl From<LimitError> for $error {
            fn from(error: LimitError) -> Self {
                match error {
                    LimitError::TooMany { retry_after } => Self::TooMany { retry_after },
                    LimitError::Store(error) => Self::Store(error),
                }
            }
        }

        impl From<HashingError> for $error {
            fn from(error: HashingError) -> Self {
                match error {
                    HashingError::Shed { retry_after } => Self::Shed { retry_after },
                    HashingError::Failed(source) => Self::Internal(source),
                }
            }
        }
    )*};
}

from_limits_and_hashing!(RegisterError, LoginError, ChangePasswordError);
