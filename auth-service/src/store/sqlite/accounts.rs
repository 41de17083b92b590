//! Accounts, and what changes an account and sessions in one transaction.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use token_verifier::Subject;

use super::revocations::append_sessions;
use super::rows::{AccountRow, read_id};
use super::{SqliteStore, sessions, violates_unique};
use crate::account::Account;
use crate::email::Email;
use crate::password::PasswordHash;
use crate::session::{Session, SessionId};
use crate::store::{
    AccountStore, NewSession, PasswordChange, PasswordChanged, Registered, SignedIn, StoreError,
};

#[async_trait]
impl AccountStore for SqliteStore {
    async fn find_account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let row: Option<AccountRow> =
            sqlx::query_as("SELECT * FROM accounts WHERE email_normalised = ?")
                .bind(email.normalised())
                .fetch_optional(self.database.readers())
                .await?;
        row.map(AccountRow::into_account).transpose()
    }

    async fn find_account(&self, subject: &Subject) -> Result<Option<Account>, StoreError> {
        let row: Option<AccountRow> = sqlx::query_as("SELECT * FROM accounts WHERE subject = ?")
            .bind(subject.as_str())
            .fetch_optional(self.database.readers())
            .await?;
        row.map(AccountRow::into_account).transpose()
    }

    async fn register(
        &self,
        account: &Account,
        session: &NewSession,
    ) -> Result<Registered, StoreError> {
        let mut transaction = self.database.write().await?;
        if !insert(&mut transaction, account).await? {
            return Ok(Registered::EmailTaken);
        }
        let Some(ended) = put_in_place(&mut transaction, session).await? else {
            return Ok(Registered::ReplacedGone);
        };
        self.commit(transaction).await?;
        Ok(Registered::Done { ended })
    }

    async fn sign_in(
        &self,
        session: &NewSession,
        verified: &PasswordHash,
        rehashed: Option<&PasswordHash>,
    ) -> Result<SignedIn, StoreError> {
        let mut transaction = self.database.write().await?;
        let subject = &session.session.subject;
        let password_hash = rehashed.unwrap_or(verified);
        if !set_password(&mut transaction, subject, verified, password_hash).await? {
            return Ok(SignedIn::AccountChanged);
        }
        let Some(mut ended) = put_in_place(&mut transaction, session).await? else {
            return Ok(SignedIn::ReplacedGone);
        };
        let Session { id, created_at, .. } = session.session;
        ended.extend(sessions::delete_past_limit(&mut transaction, subject, id, created_at).await?);
        self.commit(transaction).await?;
        Ok(SignedIn::Done { ended })
    }

    async fn change_password(
        &self,
        change: &PasswordChange,
    ) -> Result<PasswordChanged, StoreError> {
        let mut transaction = self.database.write().await?;
        let PasswordChange {
            subject,
            verified,
            password_hash,
            ..
        } = change;
        if !set_password(&mut transaction, subject, verified, password_hash).await? {
            return Ok(PasswordChanged::Gone);
        }
        let Some(former) = rotate(&mut transaction, change).await? else {
            return Ok(PasswordChanged::Gone);
        };
        let kept = &change.session;
        let now = kept.authenticated_at.unwrap_or(kept.created_at);
        let mut ended = sessions::delete_others(&mut transaction, subject, kept.id, now).await?;
        if former != kept.id {
            append_sessions(&mut transaction, [former], now).await?;
            ended.push(former);
        }
        self.commit(transaction).await?;
        Ok(PasswordChanged::Done { ended })
    }
}

/// False: the address is taken.
async fn insert(connection: &mut SqliteConnection, account: &Account) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO accounts (subject, email, email_normalised, display_name, password_hash, \
             created_at, disabled_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(account.subject.as_str())
    .bind(account.email.as_typed())
    .bind(account.email.normalised())
    .bind(account.display_name.as_str())
    .bind(account.password_hash.to_phc())
    .bind(account.created_at.as_millisecond())
    .bind(account.disabled_at.map(Timestamp::as_millisecond))
    .execute(connection)
    .await;
    match inserted {
        Ok(_) => Ok(true),
        Err(error) if violates_unique(&error, "accounts.email_normalised") => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Ends the session that is replaced and makes the new one. None: the former is gone.
async fn put_in_place(
    connection: &mut SqliteConnection,
    session: &NewSession,
) -> Result<Option<Vec<SessionId>>, StoreError> {
    let mut ended = Vec::new();
    if let Some(replaced) = &session.replaces {
        match sessions::delete_by_secret(connection, replaced, session.session.created_at).await? {
            Some(id) => ended.push(id),
            None => return Ok(None),
        }
    }
    sessions::insert(connection, session).await?;
    Ok(Some(ended))
}

/// False: the account is not what was verified any more.
async fn set_password(
    connection: &mut SqliteConnection,
    subject: &Subject,
    verified: &PasswordHash,
    password_hash: &PasswordHash,
) -> Result<bool, StoreError> {
    let set = sqlx::query(
        "UPDATE accounts SET password_hash = ? \
         WHERE subject = ? AND password_hash = ? AND disabled_at IS NULL",
    )
    .bind(password_hash.to_phc())
    .bind(subject.as_str())
    .bind(verified.to_phc())
    .execute(connection)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// Gives the session its new secret and id. Its id until now; none: it is gone, or has
/// another secret already.
async fn rotate(
    connection: &mut SqliteConnection,
    change: &PasswordChange,
) -> Result<Option<SessionId>, StoreError> {
    let former: Option<String> =
        sqlx::query_scalar("SELECT id FROM sessions WHERE secret_hash = ? AND subject = ?")
            .bind(change.old_secret.as_bytes())
            .bind(change.subject.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    let Some(former) = former else {
        return Ok(None);
    };
    let session = &change.session;
    sqlx::query(
        "UPDATE sessions \
         SET secret_hash = ?1, id = ?2, authenticated_at = ?3, replaced_secret_hash = ?4 \
         WHERE secret_hash = ?4",
    )
    .bind(change.new_secret.as_bytes())
    .bind(session.id.to_string())
    .bind(session.authenticated_at.map(Timestamp::as_millisecond))
    .bind(change.old_secret.as_bytes())
    .execute(connection)
    .await?;
    read_id(&former).map(Some)
}
