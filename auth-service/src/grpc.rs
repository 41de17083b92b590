//! `latchkey.auth.v1` over gRPC: a line an RPC, each in a file of its own.
//!
//! Generated messages stay in here. Every RPC asks for the [`Workload`] that only
//! the guard before it makes.

use proto::auth::v1::account_service_server::{AccountService, AccountServiceServer};
use proto::auth::v1::operator_service_server::OperatorServiceServer;
use proto::auth::v1::session_service_server::{SessionService, SessionServiceServer};
use proto::auth::v1::token_service_server::{TokenService, TokenServiceServer};
use proto::auth::v1::{
    ChangePasswordRequest, ChangePasswordResponse, CreateGuestSessionRequest,
    CreateGuestSessionResponse, EndSessionRequest, EndSessionResponse, ExchangeSessionRequest,
    ExchangeSessionResponse, GetSessionRequest, GetSessionResponse, IssueAnonymousTokenRequest,
    IssueAnonymousTokenResponse, ListSessionsRequest, ListSessionsResponse, LoginRequest,
    LoginResponse, RegisterRequest, RegisterResponse, RevokeOtherSessionsRequest,
    RevokeOtherSessionsResponse, RevokeSessionRequest, RevokeSessionResponse,
};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::accounts::Accounts;
use crate::metrics::AuthMetrics;
use crate::operator::Operator;
use crate::revocations::Hub;
use crate::sessions::Sessions;
use crate::signing_keys::Keeper;
use crate::tokens::Tokens;
use crate::workload::{Workload, workload};

mod change_password;
mod create_guest_session;
mod end_session;
mod exchange_session;
mod get_session;
mod issue_anonymous_token;
mod list_sessions;
mod login;
mod messages;
mod operator;
mod register;
mod revoke_other_sessions;
mod revoke_session;
mod watch;

/// Everything that RPCs work with.
#[derive(Clone)]
pub(crate) struct Api {
    /// People's accounts.
    pub(crate) accounts: Accounts,
    /// Sessions.
    pub(crate) sessions: Sessions,
    /// Access tokens.
    pub(crate) tokens: Tokens,
    /// What operators do by hand.
    pub(crate) operator: Operator,
    /// The keys that sign tokens.
    pub(crate) keys: Keeper,
    /// Who follows the revocation log.
    pub(crate) hub: Hub,
    /// What is counted.
    pub(crate) metrics: AuthMetrics,
}

/// The longest message: two passwords of 256 characters, an address, a name and a
/// user agent have some 4 KiB.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// The services.
pub(crate) fn routes(api: Api) -> Routes {
    let accounts = AccountServiceServer::new(api.clone());
    let sessions = SessionServiceServer::new(api.clone());
    let revocations = watch::RevocationService(api.hub.clone());
    let tokens = TokenServiceServer::new(api.clone());
    let operator = OperatorServiceServer::new(api);
    Routes::new(accounts.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(sessions.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(revocations)
        .add_service(tokens.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(operator.max_decoding_message_size(MAX_MESSAGE_BYTES))
}

/// The message, and the proof that the guard let its sender through.
fn admit<T>(request: Request<T>) -> Result<(Workload, T), Status> {
    let caller = workload(&request)?.clone();
    Ok((caller, request.into_inner()))
}

#[tonic::async_trait]
impl AccountService for Api {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let (_, message) = admit(request)?;
        register::register(self, message).await.map(Response::new)
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let (_, message) = admit(request)?;
        login::login(self, message).await.map(Response::new)
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        let (_, message) = admit(request)?;
        change_password::change_password(self, message)
            .await
            .map(Response::new)
    }
}

#[tonic::async_trait]
impl SessionService for Api {
    async fn create_guest_session(
        &self,
        request: Request<CreateGuestSessionRequest>,
    ) -> Result<Response<CreateGuestSessionResponse>, Status> {
        let (_, message) = admit(request)?;
        create_guest_session::create_guest_session(self, message)
            .await
            .map(Response::new)
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let (_, message) = admit(request)?;
        get_session::get_session(self, message)
            .await
            .map(Response::new)
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (_, message) = admit(request)?;
        list_sessions::list_sessions(self, message)
            .await
            .map(Response::new)
    }

    async fn end_session(
        &self,
        request: Request<EndSessionRequest>,
    ) -> Result<Response<EndSessionResponse>, Status> {
        let (_, message) = admit(request)?;
        end_session::end_session(self, message)
            .await
            .map(Response::new)
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        let (_, message) = admit(request)?;
        revoke_session::revoke_session(self, message)
            .await
            .map(Response::new)
    }

    async fn revoke_other_sessions(
        &self,
        request: Request<RevokeOtherSessionsRequest>,
    ) -> Result<Response<RevokeOtherSessionsResponse>, Status> {
        let (_, message) = admit(request)?;
        revoke_other_sessions::revoke_other_sessions(self, message)
            .await
            .map(Response::new)
    }
}

#[tonic::async_trait]
impl TokenService for Api {
    async fn exchange_session(
        &self,
        request: Request<ExchangeSessionRequest>,
    ) -> Result<Response<ExchangeSessionResponse>, Status> {
        let (caller, message) = admit(request)?;
        exchange_session::exchange_session(self, &caller, message)
            .await
            .map(Response::new)
    }

    async fn issue_anonymous_token(
        &self,
        request: Request<IssueAnonymousTokenRequest>,
    ) -> Result<Response<IssueAnonymousTokenResponse>, Status> {
        let (caller, message) = admit(request)?;
        issue_anonymous_token::issue_anonymous_token(self, &caller, message).map(Response::new)
    }
}
