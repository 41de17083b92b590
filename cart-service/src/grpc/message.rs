//! Between the generated messages and our types.

use proto::cart::v1;

use super::CallError;
use crate::{
    cart::{
        Line, Quantity, Sku,
        priced::{PricedCart, PricedLine},
    },
    products::{CURRENCY, Product, Products},
    store::Served,
};

/// The fields of one request that break their rules.
#[derive(Default)]
pub(super) struct Violations(Vec<(&'static str, String)>);

impl Violations {
    pub(super) fn one(field: &'static str, rule: impl ToString) -> CallError {
        CallError::Invalid(vec![(field, rule.to_string())])
    }

    pub(super) fn add(&mut self, field: &'static str, rule: impl ToString) {
        self.0.push((field, rule.to_string()));
    }
}

/// The line that a request names, or everything that is wrong with the request:
/// what the caller has found already and what this finds.
pub(super) fn line(
    mut violations: Violations,
    unchecked_sku: &str,
    unchecked_quantity: i32,
) -> Result<Line, CallError> {
    let sku = Sku::parse(unchecked_sku).map_err(|error| violations.add("sku", error));
    let quantity =
        Quantity::new(unchecked_quantity.into()).map_err(|error| violations.add("quantity", error));
    match (sku, quantity) {
        (Ok(sku), Ok(quantity)) if violations.0.is_empty() => Ok(Line { sku, quantity }),
        _ => Err(CallError::Invalid(violations.0)),
    }
}

pub(super) fn product(product: &Product) -> v1::Product {
    v1::Product {
        sku: product.sku.into(),
        name: product.name.into(),
        description: product.description.into(),
        unit_price_minor: product.unit_price_minor,
        currency: CURRENCY.into(),
    }
}

pub(super) fn cart(served: &Served, products: Products) -> Result<v1::Cart, CallError> {
    let priced = PricedCart::of(&served.cart, products)?;
    for sku in &priced.unknown {
        tracing::warn!(
            cart.sku = sku.as_str(),
            "a cart holds a product that the shop's list lacks"
        );
    }
    Ok(v1::Cart {
        lines: priced.lines.iter().map(cart_line).collect(),
        total_minor: priced.total_minor,
        currency: CURRENCY.into(),
        item_count: i32::try_from(priced.item_count).expect("100 lines of 99 fit"),
        updated_at: served.updated_at.map(timestamp),
    })
}

fn cart_line(line: &PricedLine) -> v1::CartLine {
    v1::CartLine {
        sku: line.product.sku.into(),
        name: line.product.name.into(),
        quantity: line.quantity.get().into(),
        unit_price_minor: line.product.unit_price_minor,
        line_total_minor: line.total_minor,
    }
}

fn timestamp(instant: jiff::Timestamp) -> prost_types::Timestamp {
    // Before 1970 jiff's fraction is negative and the message's must not be. No cart
    // is that old, but a clock can be set to anything.
    let nanoseconds = instant.as_nanosecond();
    prost_types::Timestamp {
        seconds: i64::try_from(nanoseconds.div_euclid(1_000_000_000)).expect("jiff's years fit"),
        nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).expect("below a billion"),
    }
}
