//! `Debug` for the messages that carry a password, a session secret or a token:
//! it names the message and shows nothing of what is inside.

use std::fmt;

use crate::auth::v1::{
    AccountName, ChangePasswordRequest, DisableAccountRequest, EnableAccountRequest,
    EndSessionRequest, ExchangeSessionRequest, ExchangeSessionResponse, GetSessionRequest,
    IssueAnonymousTokenResponse, ListSessionsRequest, LoginRequest, NewSession, RegisterRequest,
    RevokeOtherSessionsRequest, RevokeSessionRequest, User,
};

macro_rules! redact {
    ($($message:ident),+ $(,)?) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message)).finish_non_exhaustive()
            }
        }
    )+};
}

redact!(
    RegisterRequest,
    LoginRequest,
    ChangePasswordRequest,
    GetSessionRequest,
    ListSessionsRequest,
    EndSessionRequest,
    RevokeSessionRequest,
    RevokeOtherSessionsRequest,
    ExchangeSessionRequest,
    ExchangeSessionResponse,
    IssueAnonymousTokenResponse,
    NewSession,
    User,
    AccountName,
    DisableAccountRequest,
    EnableAccountRequest,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let request = LoginRequest {
            email: "canary@example.com".into(),
            password: "canary-password".into(),
            current_session_secret: "canary-secret".into(),
            client: None,
        };
        assert_eq!(format!("{request:?}"), "LoginRequest { .. }");
    }
}
