//! Changing a password: a guess like any other, and then the end of every other session.

use tracing::info;

use super::{Accounts, ChangePasswordError, NewPassword, OpenedSession, Violation};
use crate::account::Account;
use crate::limits::Attempt;
use crate::password::{Password, PasswordHash, policy};
use crate::session::{Session, SessionId, SessionKind, SessionSecret};
use crate::store::{PasswordChange, PasswordChanged};

impl Accounts {
    /// Sets a new password, gives the session a new secret and id, and ends all others and
    /// its former self: their ids.
    pub async fn change_password(
        &self,
        request: NewPassword<'_>,
    ) -> Result<(OpenedSession, Vec<SessionId>), ChangePasswordError> {
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
    ) -> Result<(OpenedSession, Vec<SessionId>), ChangePasswordError> {
        let secret = SessionSecret::generate(&*self.entropy);
        let session = session.continued(self.clock.now(), &*self.entropy);
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
