//! RemoveItem: a line less. Any SKU that is spelt as one may be named, so that a line
//! whose product the shop has forgotten can go too.

use proto::cart::v1::{RemoveItemRequest, RemoveItemResponse};

use super::{CallError, CartGrpc, message::Violations};
use crate::{
    cart::{Change, Sku},
    owner::Owner,
};

pub(super) async fn call(
    grpc: &CartGrpc,
    owner: &Owner,
    request: &RemoveItemRequest,
) -> Result<RemoveItemResponse, CallError> {
    let sku = Sku::parse(&request.sku).map_err(|error| Violations::one("sku", error))?;
    let cart = grpc.change(owner, Change::Remove(sku)).await?;
    Ok(RemoveItemResponse { cart: Some(cart) })
}
