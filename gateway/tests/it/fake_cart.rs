//! A cart service that remembers what it was sent, and answers what the SKU says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use proto::cart::v1::{cart_service_server::CartService, *};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct FakeCart {
    seen: Arc<Mutex<Vec<MetadataMap>>>,
    open: watch::Sender<bool>,
}

impl FakeCart {
    pub(crate) fn new() -> Self {
        Self {
            seen: Arc::default(),
            open: watch::Sender::new(true),
        }
    }

    /// The metadata of every call so far.
    pub(crate) fn seen(&self) -> Vec<MetadataMap> {
        self.seen.lock().unwrap().clone()
    }

    /// Who called last: the subject in the fake auth service's token.
    pub(crate) fn last_caller(&self) -> String {
        let seen = self.seen();
        let token = seen
            .last()
            .unwrap()
            .get("authorization")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        // `Bearer eyJ.<audience>.<subject>.<number>`; a subject may hold dots.
        let rest = token.strip_prefix("Bearer eyJ.cart-service.").unwrap();
        rest.rsplit_once('.').unwrap().0.to_owned()
    }

    /// Closed, calls arrive and wait.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    async fn arrive<T>(&self, request: Request<T>) -> T {
        self.seen.lock().unwrap().push(request.metadata().clone());
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.unwrap();
        request.into_inner()
    }
}

fn cart() -> Cart {
    Cart {
        currency: "EUR".into(),
        ..Cart::default()
    }
}

/// What the door of the service with this audience says to a bad token.
fn refusal(audience: &str) -> Status {
    let who = HashMap::from([("audience".to_owned(), audience.to_owned())]);
    let details = ErrorDetails::with_error_info("TOKEN_INVALID", "latchkey", who);
    Status::with_error_details(Code::Unauthenticated, "unauthenticated", details)
}

fn outcome(sku: &str) -> Result<Cart, Status> {
    let code = match sku {
        "internal" => Code::Internal,
        "unauthenticated" => Code::Unauthenticated,
        "refused" => return Err(refusal("cart-service")),
        "refused-inside" => return Err(refusal("stock-service")),
        "unavailable" => Code::Unavailable,
        "missing" => Code::NotFound,
        "full" => Code::FailedPrecondition,
        "panic" => panic!("a service that panics"),
        _ => return Ok(cart()),
    };
    Err(chassis::status::status(
        code,
        "REASON_OF_CART",
        "words of the cart service",
    ))
}

#[tonic::async_trait]
impl CartService for FakeCart {
    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        self.arrive(request).await;
        Ok(Response::new(ListProductsResponse {
            products: Vec::new(),
        }))
    }

    async fn get_cart(
        &self,
        request: Request<GetCartRequest>,
    ) -> Result<Response<GetCartResponse>, Status> {
        self.arrive(request).await;
        Ok(Response::new(GetCartResponse { cart: Some(cart()) }))
    }

    async fn add_item(
        &self,
        request: Request<AddItemRequest>,
    ) -> Result<Response<AddItemResponse>, Status> {
        let request = self.arrive(request).await;
        Ok(Response::new(AddItemResponse {
            cart: Some(outcome(&request.sku)?),
        }))
    }

    async fn update_item(
        &self,
        request: Request<UpdateItemRequest>,
    ) -> Result<Response<UpdateItemResponse>, Status> {
        let request = self.arrive(request).await;
        Ok(Response::new(UpdateItemResponse {
            cart: Some(outcome(&request.sku)?),
        }))
    }

    async fn remove_item(
        &self,
        request: Request<RemoveItemRequest>,
    ) -> Result<Response<RemoveItemResponse>, Status> {
        let request = self.arrive(request).await;
        Ok(Response::new(RemoveItemResponse {
            cart: Some(outcome(&request.sku)?),
        }))
    }

    async fn clear_cart(
        &self,
        request: Request<ClearCartRequest>,
    ) -> Result<Response<ClearCartResponse>, Status> {
        self.arrive(request).await;
        Ok(Response::new(ClearCartResponse { cart: Some(cart()) }))
    }
}
