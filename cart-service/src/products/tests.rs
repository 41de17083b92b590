use std::collections::HashSet;

use super::{Products, SHOP};
use crate::cart::Sku;

#[test]
fn every_product_of_the_shop_is_well_formed() {
    for product in SHOP {
        assert!(Sku::parse(product.sku).is_ok(), "{}", product.sku);
        assert!(!product.name.is_empty(), "{}", product.sku);
        assert!(product.description.ends_with('.'), "{}", product.sku);
        // 10,000 EUR: far from any overflow with 100 lines of 99.
        assert!(
            (1..=1_000_000).contains(&product.unit_price_minor),
            "{}",
            product.sku
        );
    }
}

#[test]
fn no_two_products_share_a_sku() {
    let skus: HashSet<_> = SHOP.iter().map(|product| product.sku).collect();
    assert_eq!(skus.len(), SHOP.len());
}

#[test]
fn a_withdrawn_product_is_found_but_not_sold() {
    let lantern = Sku::parse("tin-lantern").unwrap();
    assert!(Products::SHOP.find(&lantern).is_some());
    assert!(!Products::SHOP.sells(&lantern));
    assert!(
        Products::SHOP
            .sold()
            .all(|product| product.sku != "tin-lantern")
    );
}

#[test]
fn the_list_keeps_the_shops_order() {
    let skus: Vec<_> = Products::SHOP.sold().map(|product| product.sku).collect();
    assert_eq!(skus.len(), 12);
    assert_eq!((skus[0], skus[11]), ("brass-key", "lock-oil"));
}
