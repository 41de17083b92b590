//! What an operator does by hand: end sessions, shut accounts and open them again.
//!
//! Each act names the workload that asked for it in the log, and is in the revocation
//! log by the time it is answered. Doing again what was done is harmless.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use token_verifier::{Clock, Subject};
use tracing::info;

use crate::email::Email;
use crate::session::SessionId;
use crate::store::{AccountStore, OperatorStore, StoreError};
use crate::workload::Workload;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No session has this id.
    #[error("there is no session with this id")]
    SessionNotFound,
    /// Nobody has this address or subject.
    #[error("there is no such account")]
    AccountNotFound,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How an operator names an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// By the address that it signs in with.
    Email(Email),
    /// By its subject.
    Subject(Subject),
}

/// Whom something was done to, and how many sessions that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// Whose account it is.
    pub subject: Subject,
    /// The sessions that are over.
    pub ended: Vec<SessionId>,
}

/// An operator's acts.
#[derive(Clone)]
pub struct Operator {
    store: Arc<dyn OperatorStore>,
    accounts: Arc<dyn AccountStore>,
    clock: Arc<dyn Clock>,
}

impl Operator {
    /// Puts the parts together.
    pub fn new(
        store: Arc<dyn OperatorStore>,
        accounts: Arc<dyn AccountStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            accounts,
            clock,
        }
    }

    /// Ends a session, whoever's it is.
    pub async fn revoke_session(
        &self,
        caller: &Workload,
        id: SessionId,
    ) -> Result<(), OperatorError> {
        if !self.store.revoke_session(id, self.clock.now()).await? {
            return Err(OperatorError::SessionNotFound);
        }
        info!(
            event = "session.revoked",
            session.id = %id,
            workload = caller.name(),
            "session revoked by an operator"
        );
        Ok(())
    }

    /// Ends every session of a subject, and revokes every token issued to it until now.
    /// A subject that nobody ever saw has none, which is no error: its tokens may
    /// outlive its last session.
    pub async fn revoke_subject(
        &self,
        caller: &Workload,
        subject: &Subject,
    ) -> Result<Vec<SessionId>, OperatorError> {
        let ended = self.store.revoke_subject(subject, self.clock.now()).await?;
        info!(
            event = "subject.revoked",
            subject = subject.as_str(),
            ended = ended.len(),
            workload = caller.name(),
            "subject revoked by an operator"
        );
        Ok(ended)
    }

    /// Disables an account and ends everything of it.
    pub async fn disable_account(
        &self,
        caller: &Workload,
        name: AccountName,
    ) -> Result<Disabled, OperatorError> {
        let subject = self.subject(name).await?;
        let now = self.clock.now();
        let ended = self.store.disable_account(&subject, now).await?;
        let ended = ended.ok_or(OperatorError::AccountNotFound)?;
        info!(
            event = "account.disabled",
            subject = subject.as_str(),
            ended = ended.len(),
            workload = caller.name(),
            "account disabled by an operator"
        );
        Ok(Disabled { subject, ended })
    }

    /// Lets an account be signed in to again.
    pub async fn enable_account(
        &self,
        caller: &Workload,
        name: AccountName,
    ) -> Result<Subject, OperatorError> {
        let subject = self.subject(name).await?;
        if !self.store.enable_account(&subject).await? {
            return Err(OperatorError::AccountNotFound);
        }
        info!(
            event = "account.enabled",
            subject = subject.as_str(),
            workload = caller.name(),
            "account enabled by an operator"
        );
        Ok(subject)
    }

    /// Whose account is meant. Whether a subject has one, the store says in the
    /// transaction that changes it.
    async fn subject(&self, name: AccountName) -> Result<Subject, OperatorError> {
        match name {
            AccountName::Subject(subject) => Ok(subject),
            AccountName::Email(email) => {
                let account = self.accounts.find_account_by_email(&email).await?;
                account
                    .map(|account| account.subject)
                    .ok_or(OperatorError::AccountNotFound)
            }
        }
    }
}
