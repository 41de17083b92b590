//! `latchkey.cart.v1.CartService`: one line an RPC here, one file an RPC beside it.
//!
//! Generated messages stay in here; everything further in speaks our own types.

mod add_item;
mod clear_cart;
mod get_cart;
mod list_products;
mod message;
mod remove_item;
mod update_item;

use std::sync::Arc;

use chassis::Clock;
use proto::cart::v1::{
    AddItemRequest, AddItemResponse, ClearCartRequest, ClearCartResponse, GetCartRequest,
    GetCartResponse, ListProductsRequest, ListProductsResponse, RemoveItemRequest,
    RemoveItemResponse, UpdateItemRequest, UpdateItemResponse,
    cart_service_server::{CartService, CartServiceServer},
};
use token_verifier::caller;
use tonic::{Request, Response, Status};

use crate::{
    cart::{Change, priced::TotalOverflow},
    merges::Merges,
    owner::Owner,
    products::Products,
    store::{CartStore, ChangeError, Served, StoreError},
};

/// The largest request that is read, on the wire and unpacked. A real one has some
/// fifty bytes.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// What every RPC needs.
pub(crate) struct CartGrpc {
    pub(crate) store: Arc<dyn CartStore>,
    pub(crate) products: Products,
    pub(crate) merges: Merges,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why an RPC has no answer. What the client sees of it is decided in `status.rs`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Fields that break their rules: all of them, by name.
    #[error("{} invalid fields", .0.len())]
    Invalid(Vec<(&'static str, String)>),
    /// The token's subject can have no cart: `anonymous` or a workload.
    #[error("the subject cannot have a cart")]
    SessionRequired,
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Total(#[from] TotalOverflow),
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

impl CartGrpc {
    /// The server, with its limits. Compression stays off both ways: a request is
    /// smaller than its compressed form, and what is never unpacked cannot explode.
    pub(crate) fn into_server(self) -> CartServiceServer<Self> {
        CartServiceServer::new(self).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    /// Applies a change to the caller's cart and answers with the cart after it.
    async fn change(
        &self,
        owner: &Owner,
        change: Change,
    ) -> Result<proto::cart::v1::Cart, CallError> {
        let served = self.store.change(owner, change, self.clock.now()).await?;
        self.answer(owner, &served)
    }

    fn answer(&self, owner: &Owner, served: &Served) -> Result<proto::cart::v1::Cart, CallError> {
        if let Some(leftover) = served.merged {
            self.merges.count(owner, leftover);
        }
        message::cart(served, self.products)
    }
}

/// The owner that a write needs.
fn writer<T>(request: &Request<T>) -> Result<Owner, Status> {
    Owner::of(caller(request)?).ok_or_else(|| CallError::SessionRequired.into())
}

#[tonic::async_trait]
impl CartService for CartGrpc {
    async fn list_products(
        &self,
        _request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        Ok(Response::new(list_products::call(self.products)))
    }

    async fn get_cart(
        &self,
        request: Request<GetCartRequest>,
    ) -> Result<Response<GetCartResponse>, Status> {
        let owner = Owner::of(caller(&request)?);
        Ok(Response::new(get_cart::call(self, owner.as_ref()).await?))
    }

    async fn add_item(
        &self,
        request: Request<AddItemRequest>,
    ) -> Result<Response<AddItemResponse>, Status> {
        let owner = writer(&request)?;
        Ok(Response::new(
            add_item::call(self, &owner, &request.into_inner()).await?,
        ))
    }

    async fn update_item(
        &self,
        request: Request<UpdateItemRequest>,
    ) -> Result<Response<UpdateItemResponse>, Status> {
        let owner = writer(&request)?;
        Ok(Response::new(
            update_item::call(self, &owner, &request.into_inner()).await?,
        ))
    }

    async fn remove_item(
        &self,
        request: Request<RemoveItemRequest>,
    ) -> Result<Response<RemoveItemResponse>, Status> {
        let owner = writer(&request)?;
        Ok(Response::new(
            remove_item::call(self, &owner, &request.into_inner()).await?,
        ))
    }

    async fn clear_cart(
        &self,
        request: Request<ClearCartRequest>,
    ) -> Result<Response<ClearCartResponse>, Status> {
        let owner = writer(&request)?;
        Ok(Response::new(clear_cart::call(self, &owner).await?))
    }
}
