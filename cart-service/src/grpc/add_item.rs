//! AddItem: more of a product that the shop sells.

use proto::cart::v1::{AddItemRequest, AddItemResponse};

use super::{
    CallError, CartGrpc,
    message::{Violations, line},
};
use crate::{
    cart::{Change, Sku},
    owner::Owner,
};

pub(super) async fn call(
    grpc: &CartGrpc,
    owner: &Owner,
    request: &AddItemRequest,
) -> Result<AddItemResponse, CallError> {
    let mut violations = Violations::default();
    if Sku::parse(&request.sku).is_ok_and(|sku| !grpc.products.sells(&sku)) {
        violations.add("sku", "is no product of this shop");
    }
    let line = line(violations, &request.sku, request.quantity)?;
    let cart = grpc.change(owner, Change::Add(line)).await?;
    Ok(AddItemResponse { cart: Some(cart) })
}
