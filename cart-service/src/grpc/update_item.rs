//! UpdateItem: another quantity for a line that is in the cart, be its product still
//! sold or not.

use proto::cart::v1::{UpdateItemRequest, UpdateItemResponse};

use super::{
    CallError, CartGrpc,
    message::{Violations, line},
};
use crate::{cart::Change, owner::Owner};

pub(super) async fn call(
    grpc: &CartGrpc,
    owner: &Owner,
    request: &UpdateItemRequest,
) -> Result<UpdateItemResponse, CallError> {
    let line = line(Violations::default(), &request.sku, request.quantity)?;
    let cart = grpc.change(owner, Change::Update(line)).await?;
    Ok(UpdateItemResponse { cart: Some(cart) })
}
