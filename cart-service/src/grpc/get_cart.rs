//! GetCart: the caller's cart, with a guest's cart in it from the first look on.

use proto::cart::v1::GetCartResponse;

use super::{CallError, CartGrpc, message};
use crate::{owner::Owner, store::Served};

pub(super) async fn call(
    grpc: &CartGrpc,
    owner: Option<&Owner>,
) -> Result<GetCartResponse, CallError> {
    let cart = match owner {
        Some(owner) => {
            let served = grpc.store.load(owner, grpc.clock.now()).await?;
            grpc.answer(owner, &served)?
        }
        // Somebody who can have no cart sees an empty one, and no row is made.
        None => message::cart(&Served::default(), grpc.products)?,
    };
    Ok(GetCartResponse { cart: Some(cart) })
}
