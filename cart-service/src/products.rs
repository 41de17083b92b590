//! What the shop sells. A fixed list, so that this example needs no catalogue service.

#[cfg(test)]
mod tests;

use crate::cart::Sku;

/// ISO 4217 code of every price.
pub(crate) const CURRENCY: &str = "EUR";

/// Something the shop sells or once sold.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Product {
    /// See [`Sku`]; a test holds every one to its rules.
    pub(crate) sku: &'static str,
    /// For people, in English.
    pub(crate) name: &'static str,
    /// One sentence for people, in English.
    pub(crate) description: &'static str,
    /// Price of one, in minor units of [`CURRENCY`].
    pub(crate) unit_price_minor: i64,
    /// Whether it can be put into a cart. A product that is withdrawn stays in the
    /// list with its last price, so that carts which hold it still show it, count it
    /// and let its quantity be changed or its line removed.
    pub(crate) is_sold: bool,
}

/// A list of products, in the shop's order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Products(&'static [Product]);

impl Products {
    /// The shop's own list.
    pub(crate) const SHOP: Self = Self(SHOP);

    /// Another list.
    #[cfg(test)]
    pub(crate) const fn new(products: &'static [Product]) -> Self {
        Self(products)
    }

    /// What can be put into a cart.
    pub(crate) fn sold(self) -> impl Iterator<Item = &'static Product> {
        self.0.iter().filter(|product| product.is_sold)
    }

    /// The product with this SKU, be it sold or withdrawn.
    pub(crate) fn find(self, sku: &Sku) -> Option<&'static Product> {
        // A dozen products: a walk is as quick as a map.
        self.0.iter().find(|product| product.sku == sku.as_str())
    }

    /// Whether this SKU can be put into a cart.
    pub(crate) fn sells(self, sku: &Sku) -> bool {
        self.find(sku).is_some_and(|product| product.is_sold)
    }
}

const SHOP: &[Product] = &[
    sold(
        "brass-key",
        "Brass key",
        "A plain key for a plain lock.",
        450,
    ),
    sold(
        "skeleton-key",
        "Skeleton key",
        "Opens most doors of most old houses.",
        1_290,
    ),
    sold(
        "key-ring",
        "Key ring",
        "Split ring of spring steel, for up to twenty keys.",
        350,
    ),
    sold(
        "leather-fob",
        "Leather fob",
        "Vegetable-tanned, darkens with the years.",
        1_150,
    ),
    sold(
        "padlock-small",
        "Small padlock",
        "For a locker or a suitcase; two keys.",
        890,
    ),
    sold(
        "padlock-large",
        "Large padlock",
        "Hardened shackle, for a shed or a gate; two keys.",
        2_490,
    ),
    sold(
        "rim-latch",
        "Rim latch",
        "Closes by itself and opens with a thumb.",
        3_450,
    ),
    sold(
        "mortise-lock",
        "Mortise lock",
        "Five levers, fits a standard door.",
        5_900,
    ),
    sold(
        "door-chain",
        "Door chain",
        "See who knocks before you open.",
        1_490,
    ),
    sold(
        "door-viewer",
        "Door viewer",
        "Wide angle, for doors up to six centimetres.",
        990,
    ),
    sold(
        "night-bolt",
        "Night bolt",
        "One hand, no key, sound sleep.",
        1_790,
    ),
    sold(
        "lock-oil",
        "Lock oil",
        "Fifty millilitres of graphite oil that never gums.",
        650,
    ),
    withdrawn(
        "tin-lantern",
        "Tin lantern",
        "To find the keyhole by; no longer made.",
        2_200,
    ),
];

const fn sold(
    sku: &'static str,
    name: &'static str,
    description: &'static str,
    unit_price_minor: i64,
) -> Product {
    Product {
        sku,
        name,
        description,
        unit_price_minor,
        is_sold: true,
    }
}

const fn withdrawn(
    sku: &'static str,
    name: &'static str,
    description: &'static str,
    unit_price_minor: i64,
) -> Product {
    Product {
        sku,
        name,
        description,
        unit_price_minor,
        is_sold: false,
    }
}
