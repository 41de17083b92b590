//! Registering: an account, its first session and the end of a guest's, in one step.

use jiff::Timestamp;
use tracing::{info, warn};

use super::{ATTEMPTS, Accounts, OpenedSession, RegisterError, Registration, Violation};
use crate::account::{Account, DisplayName};
use crate::email::Email;
use crate::password::policy;
use crate::session::{Client, SessionKind, SessionSecret, Succession, succession};
use crate::store::Registered;

impl Accounts {
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
            let prior = match succession(found.as_ref(), &account.subject) {
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
