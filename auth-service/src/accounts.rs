//! Registering, signing in and changing passwords: what must be checked and
//! counted, in which order, before the store is asked to make it so.
//!
//! Events go to the log under `event`, with subjects and session ids and never an
//! address, a password or a secret.

mod sign_in;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use token_verifier::{Clock, Subject};
use tracing::{info, warn};

use crate::account::{Account, DisplayName};
use crate::email::Email;
use crate::entropy::Entropy;
use crate::limits::{Attempt, LimitError, Limits};
use crate::password::{HashingError, HashingPool, Password, PasswordHash, policy};
use crate::session::{Client, Session, SessionKind, SessionSecret, SessionTtls, Succession};
use crate::store::{
    AccountStore, BoxedError, NewSession, PasswordChange, PasswordChanged, Registered,
    SessionStore, StoreError,
};

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

    /// Makes an account and signs its person in.
    pub async fn register(
        &self,
        request: Registration<'_>,
    ) -> Result<(Account, OpenedSession), RegisterError> {
        let (email, display_name) = check_registration(&request)?;
        let now = self.clock.now();
        if let Some(current) = self.live_session(request.current, now).await?
            && current.kind == SessionKind::User
        {
            return Err(RegisterError::AlreadySignedIn);
        }
        self.limits.registration(&request.client, now).await?;
        // Saves a hash; the unique index decides between two at once.
        if self.accounts.find_account_by_email(&email).await?.is_some() {
            return Err(RegisterError::EmailTaken);
        }
        let hash = self.hashing.hash(request.password).await?;
        let account = Account::new(email, display_name, hash, now, &*self.entropy);
        let opened = self
            .save_registration(&account, &request.client, request.current)
            .await?;
        info!(
            event = "account.registered",
            subject = account.subject.as_str(),
            session.id = %opened.session.id,
            "account registered"
        );
        self.remember_registration(&account, &request.client, now)
            .await;
        Ok((account, opened))
    }

    async fn save_registration(
        &self,
        account: &Account,
        client: &Client,
        current: Option<&SessionSecret>,
    ) -> Result<OpenedSession, RegisterError> {
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let found = self.live_session(current, now).await?;
            let prior = match crate::session::succession(found.as_ref(), &account.subject) {
                Succession::Fresh => None,
                Succession::Replaces { prior_subject } => Some(prior_subject),
                Succession::OtherPerson => return Err(RegisterError::AlreadySignedIn),
            };
            let replaces = prior.is_some().then_some(current).flatten();
            let (opened, record) =
                self.open(&account.subject, client, prior.flatten(), replaces, now);
            match self.accounts.register(account, &record).await? {
                Registered::Done { ended: _ } => return Ok(opened),
                Registered::EmailTaken => return Err(RegisterError::EmailTaken),
                Registered::ReplacedGone => {}
            }
        }
        Err(RegisterError::Internal(
            "the replaced session ends again and again".into(),
        ))
    }

    /// The account stands; that its source is not remembered costs a person at most
    /// some waiting while strangers attack, which is no reason to fail now.
    async fn remember_registration(&self, account: &Account, client: &Client, now: Timestamp) {
        if let Err(error) = self.limits.registered(&account.email, client, now).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "source not remembered"
            );
        }
    }

    /// Sets a new password, gives the session a new secret and ends all others.
    pub async fn change_password(
        &self,
        request: NewPassword<'_>,
    ) -> Result<(OpenedSession, Vec<crate::session::SessionId>), ChangePasswordError> {
        let now = self.clock.now();
        let session = self.live_session(Some(request.secret), now).await?;
        let session = session
            .filter(|session| session.kind == SessionKind::User)
            .ok_or(ChangePasswordError::SessionInvalid)?;
        let account = self.accounts.find_account(&session.subject).await?;
        let account = account
            .filter(|account| account.disabled_at.is_none())
            .ok_or(ChangePasswordError::SessionInvalid)?;
        let violations = check_new_password(&request, &account);
        if !violations.is_empty() {
            return Err(ChangePasswordError::Invalid(violations));
        }
        let attempt = self
            .limits
            .guess(&account.email, &request.client, now)
            .await?;
        self.verify_current(request.current_password, &account, &attempt)
            .await?;
        let hash = self.hashing.hash(request.new_password).await?;
        self.save_password(session, &account, request.secret, hash)
            .await
    }

    async fn verify_current(
        &self,
        password: Password,
        account: &Account,
        attempt: &Attempt,
    ) -> Result<(), ChangePasswordError> {
        let verified = self
            .hashing
            .verify(password, Some(account.password_hash.clone()))
            .await;
        match verified {
            Ok(true) => Ok(self.limits.guessed_right(attempt, self.clock.now()).await?),
            Ok(false) => {
                info!(
                    event = "password.change_refused",
                    reason = "password_wrong",
                    subject = account.subject.as_str(),
                    "password change refused"
                );
                Err(ChangePasswordError::PasswordWrong)
            }
            Err(error) => {
                self.give_back(attempt).await;
                Err(error.into())
            }
        }
    }

    async fn save_password(
        &self,
        session: Session,
        account: &Account,
        old_secret: &SessionSecret,
        password_hash: PasswordHash,
    ) -> Result<(OpenedSession, Vec<crate::session::SessionId>), ChangePasswordError> {
        let secret = SessionSecret::generate(&*self.entropy);
        let session = session.reauthenticated(self.clock.now());
        let change = PasswordChange {
            subject: account.subject.clone(),
            verified: account.password_hash.clone(),
            password_hash,
            session: session.clone(),
            old_secret: old_secret.hash(),
            new_secret: secret.hash(),
        };
        match self.accounts.change_password(&change).await? {
            PasswordChanged::Done { ended } => {
                info!(
                    event = "password.changed",
                    subject = account.subject.as_str(),
                    session.id = %session.id,
                    ended = ended.len(),
                    "password changed"
                );
                Ok((OpenedSession { session, secret }, ended))
            }
            PasswordChanged::Gone => Err(ChangePasswordError::SessionInvalid),
        }
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

fn check_registration(request: &Registration<'_>) -> Result<(Email, DisplayName), RegisterError> {
    let mut violations = Vec::new();
    let email = Email::parse(request.email);
    let display_name = DisplayName::parse(request.display_name);
    let words = policy::Context {
        email: email.as_ref().ok(),
        display_name: display_name.as_ref().map_or("", DisplayName::as_str),
    };
    if let Err(problem) = policy::check(&request.password, &words) {
        violations.push(Violation::new("password", problem));
    }
    match (email, display_name) {
        (Ok(email), Ok(display_name)) if violations.is_empty() => return Ok((email, display_name)),
        (email, display_name) => {
            violations.extend(email.err().map(|problem| Violation::new("email", problem)));
            violations.extend(
                display_name
                    .err()
                    .map(|problem| Violation::new("display_name", problem)),
            );
        }
    }
    Err(RegisterError::Invalid(violations))
}

fn check_new_password(request: &NewPassword<'_>, account: &Account) -> Vec<Violation> {
    let words = policy::Context {
        email: Some(&account.email),
        display_name: account.display_name.as_str(),
    };
    let mut violations = Vec::new();
    if let Err(problem) = policy::check_length(&request.current_password) {
        violations.push(Violation::new("current_password", problem));
    }
    if let Err(problem) = policy::check(&request.new_password, &words) {
        violations.push(Violation::new("new_password", problem));
    }
    violations
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
