//! `latchkey.auth.v1.OperatorService`: a line an RPC.

use proto::auth::v1::operator_service_server::OperatorService;
use proto::auth::v1::{
    DisableAccountRequest, DisableAccountResponse, EnableAccountRequest, EnableAccountResponse,
    ListSigningKeysRequest, ListSigningKeysResponse, OperatorRevokeSessionRequest,
    OperatorRevokeSessionResponse, RevokeSigningKeyRequest, RevokeSigningKeyResponse,
    RevokeSubjectRequest, RevokeSubjectResponse, RotateSigningKeysRequest,
    RotateSigningKeysResponse,
};
use tonic::{Request, Response, Status};

use super::{Api, admit};

mod accounts;
mod messages;
mod sessions;
mod signing_keys;

#[tonic::async_trait]
impl OperatorService for Api {
    async fn revoke_session(
        &self,
        request: Request<OperatorRevokeSessionRequest>,
    ) -> Result<Response<OperatorRevokeSessionResponse>, Status> {
        let (caller, message) = admit(request)?;
        sessions::revoke_session(&self.operator, &caller, message)
            .await
            .map(Response::new)
    }

    async fn revoke_subject(
        &self,
        request: Request<RevokeSubjectRequest>,
    ) -> Result<Response<RevokeSubjectResponse>, Status> {
        let (caller, message) = admit(request)?;
        sessions::revoke_subject(&self.operator, &caller, message)
            .await
            .map(Response::new)
    }

    async fn disable_account(
        &self,
        request: Request<DisableAccountRequest>,
    ) -> Result<Response<DisableAccountResponse>, Status> {
        let (caller, message) = admit(request)?;
        accounts::disable(&self.operator, &caller, message)
            .await
            .map(Response::new)
    }

    async fn enable_account(
        &self,
        request: Request<EnableAccountRequest>,
    ) -> Result<Response<EnableAccountResponse>, Status> {
        let (caller, message) = admit(request)?;
        accounts::enable(&self.operator, &caller, message)
            .await
            .map(Response::new)
    }

    async fn list_signing_keys(
        &self,
        request: Request<ListSigningKeysRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        admit(request)?;
        signing_keys::list(&self.keys).await.map(Response::new)
    }

    async fn rotate_signing_keys(
        &self,
        request: Request<RotateSigningKeysRequest>,
    ) -> Result<Response<RotateSigningKeysResponse>, Status> {
        let (caller, _) = admit(request)?;
        signing_keys::rotate(&self.keys, &caller)
            .await
            .map(Response::new)
    }

    async fn revoke_signing_key(
        &self,
        request: Request<RevokeSigningKeyRequest>,
    ) -> Result<Response<RevokeSigningKeyResponse>, Status> {
        let (caller, message) = admit(request)?;
        signing_keys::revoke(&self.keys, &caller, message)
            .await
            .map(Response::new)
    }
}
