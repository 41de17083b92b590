//! A cart with names and prices: what its owner sees.

use super::{Cart, Quantity, Sku};
use crate::products::{Product, Products};

/// A cart whose lines carry the shop's present names and prices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PricedCart {
    /// In the cart's order.
    pub(crate) lines: Vec<PricedLine>,
    /// Sum over the lines, in minor units of the shop's currency.
    pub(crate) total_minor: i64,
    /// Sum of the quantities.
    pub(crate) item_count: u32,
    /// Lines of products that this build of the shop has never heard of. They are
    /// kept in the store and left out here: without a price, showing them would
    /// promise them for nothing. A release that knows the product shows them again.
    pub(crate) unknown: Vec<Sku>,
}

/// One line with its price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PricedLine {
    /// What it is. May be a product that is no longer sold: see `Product::is_sold`.
    pub(crate) product: &'static Product,
    /// How many.
    pub(crate) quantity: Quantity,
    /// Quantity times unit price, in minor units of the shop's currency.
    pub(crate) total_minor: i64,
}

/// A total that does not fit in 64 bits: a price in the list is absurd.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the cart's total does not fit in 64 bits")]
pub(crate) struct TotalOverflow;

impl PricedCart {
    /// Looks up every line and adds up.
    pub(crate) fn of(cart: &Cart, products: Products) -> Result<Self, TotalOverflow> {
        let mut priced = Self {
            lines: Vec::new(),
            total_minor: 0,
            item_count: 0,
            unknown: Vec::new(),
        };
        for line in cart.lines() {
            match products.find(&line.sku) {
                Some(product) => priced.push(product, line.quantity)?,
                None => priced.unknown.push(line.sku.clone()),
            }
        }
        Ok(priced)
    }

    fn push(&mut self, product: &'static Product, quantity: Quantity) -> Result<(), TotalOverflow> {
        let pieces = i64::from(quantity.get());
        let total_minor = product
            .unit_price_minor
            .checked_mul(pieces)
            .ok_or(TotalOverflow)?;
        self.total_minor = self
            .total_minor
            .checked_add(total_minor)
            .ok_or(TotalOverflow)?;
        self.item_count += u32::from(quantity.get());
        self.lines.push(PricedLine {
            product,
            quantity,
            total_minor,
        });
        Ok(())
    }
}
