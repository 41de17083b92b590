//! ClearCart: every line goes.

use proto::cart::v1::ClearCartResponse;

use super::{CallError, CartGrpc};
use crate::{cart::Change, owner::Owner};

pub(super) async fn call(grpc: &CartGrpc, owner: &Owner) -> Result<ClearCartResponse, CallError> {
    let cart = grpc.change(owner, Change::Clear).await?;
    Ok(ClearCartResponse { cart: Some(cart) })
}
