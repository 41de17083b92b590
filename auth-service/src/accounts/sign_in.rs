//! Signing in: the same work and the same answer whether or not there is an account.

use tracing::{info, warn};

use super::{ATTEMPTS, Accounts, Login, LoginError, OpenedSession, Violation};
use crate::account::Account;
use crate::email::Email;
use crate::password::{Password, PasswordHash, policy};
use crate::session::{Client, SessionSecret, Succession, succession};
use crate::store::SignedIn;

/// An account whose password was shown, and its hash if it must be made anew.
struct Proven {
    account: Account,
    rehashed: Option<PasswordHash>,
}

impl Accounts {
    /// Checks a password and makes a session for its person.
    pub async fn login(&self, request: Login<'_>) -> Result<(Account, OpenedSession), LoginError> {
        let email = check(&request)?;
        let attempt = match self
            .limits
            .guess(&email, &request.client, self.clock.now())
            .await
        {
            Ok(attempt) => attempt,
            Err(error) => {
                info!(
                    event = "login.refused",
                    reason = "too_many",
                    "sign-in refused"
                );
                return Err(error.into());
            }
        };
        let Login {
            password,
            current,
            client,
            ..
        } = request;
        let proven = match self.prove(&email, password.clone()).await {
            Ok(proven) => proven,
            Err(LoginError::Refused) => return Err(LoginError::Refused),
            Err(error) => {
                // Shed, or the store is away: nobody looked at this guess.
                self.give_back(&attempt).await;
                return Err(error);
            }
        };
        self.limits
            .guessed_right(&attempt, self.clock.now())
            .await?;
        if let Some(admitted) = self.admit(proven, current, &client).await? {
            return Ok(admitted);
        }
        // Another sign-in may have hashed the same password anew: it is looked at once
        // more, against the account as it is now.
        let proven = self.prove(&email, password).await?;
        let admitted = self.admit(proven, current, &client).await?;
        admitted.ok_or_else(|| {
            info!(
                event = "login.refused",
                reason = "account_changed",
                "sign-in refused"
            );
            LoginError::Refused
        })
    }

    /// Finds the account and verifies its password. An address without an account
    /// costs the same: its password is verified against a hash that fits nothing.
    async fn prove(&self, email: &Email, password: Password) -> Result<Proven, LoginError> {
        let account = self.accounts.find_account_by_email(email).await?;
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let verified = self.hashing.verify(password.clone(), hash).await?;
        let reason = match account {
            Some(account) if verified && account.disabled_at.is_none() => {
                let rehashed = self.rehash(&account, password).await;
                return Ok(Proven { account, rehashed });
            }
            Some(_) if verified => "account_disabled",
            Some(_) => "password_wrong",
            None => "account_unknown",
        };
        info!(event = "login.refused", reason, "sign-in refused");
        Err(LoginError::Refused)
    }

    /// The hash at the present cost, if the account's has a lower one. When hashing is
    /// not possible just now, the next sign-in does it: the password was right.
    async fn rehash(&self, account: &Account, password: Password) -> Option<PasswordHash> {
        if !self.hashing.needs_rehash(&account.password_hash) {
            return None;
        }
        match self.hashing.hash(password).await {
            Ok(hash) => Some(hash),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "password not hashed anew"
                );
                None
            }
        }
    }

    /// Makes the session. None: the account is no longer what was verified.
    async fn admit(
        &self,
        proven: Proven,
        current: Option<&SessionSecret>,
        client: &Client,
    ) -> Result<Option<(Account, OpenedSession)>, LoginError> {
        let Proven {
            mut account,
            rehashed,
        } = proven;
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let found = self.live_session(current, now).await?;
            let (prior, replaces) = match succession(found.as_ref(), &account.subject) {
                Succession::Fresh => (self.replaced_guest(current, &account).await?, None),
                Succession::Replaces { prior_subject } => (prior_subject, current),
                Succession::OtherPerson => return Err(LoginError::AlreadySignedIn),
            };
            let (opened, record) = self.open(&account.subject, client, prior, replaces, now);
            let verified = &account.password_hash;
            match self
                .accounts
                .sign_in(&record, verified, rehashed.as_ref())
                .await?
            {
                SignedIn::Done { ended } => {
                    log_login(&opened, ended.len());
                    account.password_hash = rehashed.unwrap_or(account.password_hash);
                    return Ok(Some((account, opened)));
                }
                SignedIn::AccountChanged => return Ok(None),
                SignedIn::ReplacedGone => {}
            }
        }
        Err(LoginError::Internal(
            "the replaced session ends again and again".into(),
        ))
    }

    /// The guest of a session that an earlier sign-in of the same person replaced.
    async fn replaced_guest(
        &self,
        current: Option<&SessionSecret>,
        account: &Account,
    ) -> Result<Option<token_verifier::Subject>, LoginError> {
        let Some(current) = current else {
            return Ok(None);
        };
        let successor = self.sessions.find_successor(&current.hash()).await?;
        Ok(successor
            .filter(|session| session.subject == account.subject)
            .and_then(|session| session.prior_subject))
    }
}

fn check(request: &Login<'_>) -> Result<Email, LoginError> {
    let mut violations = Vec::new();
    if let Err(problem) = policy::check_length(&request.password) {
        violations.push(Violation::new("password", problem));
    }
    match Email::parse(request.email) {
        Ok(email) if violations.is_empty() => return Ok(email),
        email => violations.extend(email.err().map(|problem| Violation::new("email", problem))),
    }
    Err(LoginError::Invalid(violations))
}

fn log_login(opened: &OpenedSession, ended: usize) {
    info!(
        event = "login.succeeded",
        subject = opened.session.subject.as_str(),
        session.id = %opened.session.id,
        ended,
        "signed in"
    );
}
