//! ListProducts: what the shop sells. Asks nobody and stores nothing.

use proto::cart::v1::ListProductsResponse;

use super::message;
use crate::products::Products;

pub(super) fn call(products: Products) -> ListProductsResponse {
    ListProductsResponse {
        products: products.sold().map(message::product).collect(),
    }
}
