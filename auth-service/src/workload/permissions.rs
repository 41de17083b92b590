//! Which RPC needs which permission: every one by its name, so that a new one
//! is closed until somebody lists it.

use super::Permission::{self, Accounts, Exchange, Operate, Sessions, Watch};

/// Every RPC of `latchkey.auth.v1` by its path.
pub const PERMISSIONS: [(&str, Permission); 19] = [
    ("/latchkey.auth.v1.AccountService/Register", Accounts),
    ("/latchkey.auth.v1.AccountService/Login", Accounts),
    ("/latchkey.auth.v1.AccountService/ChangePassword", Accounts),
    (
        "/latchkey.auth.v1.SessionService/CreateGuestSession",
        Sessions,
    ),
    ("/latchkey.auth.v1.SessionService/GetSession", Sessions),
    ("/latchkey.auth.v1.SessionService/ListSessions", Sessions),
    ("/latchkey.auth.v1.SessionService/EndSession", Sessions),
    ("/latchkey.auth.v1.SessionService/RevokeSession", Sessions),
    (
        "/latchkey.auth.v1.SessionService/RevokeOtherSessions",
        Sessions,
    ),
    ("/latchkey.auth.v1.TokenService/ExchangeSession", Exchange),
    (
        "/latchkey.auth.v1.TokenService/IssueAnonymousToken",
        Exchange,
    ),
    ("/latchkey.auth.v1.RevocationService/Watch", Watch),
    ("/latchkey.auth.v1.OperatorService/RevokeSession", Operate),
    ("/latchkey.auth.v1.OperatorService/RevokeSubject", Operate),
    ("/latchkey.auth.v1.OperatorService/DisableAccount", Operate),
    ("/latchkey.auth.v1.OperatorService/EnableAccount", Operate),
    ("/latchkey.auth.v1.OperatorService/ListSigningKeys", Operate),
    (
        "/latchkey.auth.v1.OperatorService/RotateSigningKeys",
        Operate,
    ),
    (
        "/latchkey.auth.v1.OperatorService/RevokeSigningKey",
        Operate,
    ),
];

/// What a call of `path` needs; `None` is a path that nobody may call.
pub fn permission_for(path: &str) -> Option<Permission> {
    PERMISSIONS
        .iter()
        .find(|(listed, _)| *listed == path)
        .map(|(_, permission)| *permission)
}
