use super::priced::{PricedCart, TotalOverflow};
use super::{Cart, CartError, Change, Leftover, Line, Quantity, Sku, SkuError};
use crate::products::{Product, Products};

fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

fn line(sku_text: &str, pieces: i64) -> Line {
    Line {
        sku: sku(sku_text),
        quantity: Quantity::new(pieces).unwrap(),
    }
}

fn cart(lines: &[(&str, i64)]) -> Cart {
    Cart::from_lines(lines.iter().map(|(sku, pieces)| line(sku, *pieces))).unwrap()
}

/// A cart of so many lines of one piece: `p0`, `p1`, …
fn cart_of(lines: usize) -> Cart {
    Cart::from_lines((0..lines).map(|number| line(&format!("p{number}"), 1))).unwrap()
}

#[track_caller]
fn check(before: &[(&str, i64)], change: Change, expected: Result<&[(&str, i64)], CartError>) {
    let mut changed = cart(before);
    let answer = changed.apply(change);
    match expected {
        Ok(after) => {
            assert_eq!(answer, Ok(()));
            assert_eq!(changed, cart(after));
        }
        Err(error) => {
            assert_eq!(answer, Err(error));
            assert_eq!(changed, cart(before), "a refused change changes nothing");
        }
    }
}

#[test]
fn skus_are_1_to_32_of_the_allowed_characters() {
    for good in ["a", "9", "-", "brass-key", &"x".repeat(32)] {
        assert_eq!(Sku::parse(good).unwrap().as_str(), good);
    }
    let long = "x".repeat(33);
    for bad in [
        "",
        &long,
        "Brass",
        "a b",
        "a_b",
        "ä",
        "a\0",
        "a\n",
        "'; DROP TABLE carts --",
        "a/b",
        "../a",
    ] {
        assert_eq!(Sku::parse(bad), Err(SkuError), "{bad:?}");
    }
}

#[test]
fn quantities_are_1_to_99() {
    for good in [1, 2, 98, 99] {
        assert_eq!(i64::from(Quantity::new(good).unwrap().get()), good);
    }
    for bad in [
        0,
        -1,
        100,
        255,
        256,
        257,
        355,
        i64::from(i32::MIN),
        i64::from(i32::MAX),
        i64::MIN,
        i64::MAX,
    ] {
        assert!(Quantity::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn add_makes_a_line_at_the_end() {
    check(
        &[("b", 1)],
        Change::Add(line("a", 2)),
        Ok(&[("b", 1), ("a", 2)]),
    );
}

#[test]
fn add_to_a_line_keeps_its_place() {
    check(
        &[("b", 1), ("a", 2)],
        Change::Add(line("b", 3)),
        Ok(&[("b", 4), ("a", 2)]),
    );
}

#[test]
fn add_fills_a_line_up_to_99_and_not_past_it() {
    check(&[("a", 98)], Change::Add(line("a", 1)), Ok(&[("a", 99)]));
    check(
        &[("a", 98)],
        Change::Add(line("a", 2)),
        Err(CartError::QuantityLimit),
    );
    check(
        &[("a", 99)],
        Change::Add(line("a", 99)),
        Err(CartError::QuantityLimit),
    );
}

#[test]
fn the_hundred_and_first_line_is_refused() {
    let mut full = cart_of(99);
    assert_eq!(full.apply(Change::Add(line("last", 1))), Ok(()));
    let before = full.clone();
    assert_eq!(
        full.apply(Change::Add(line("more", 1))),
        Err(CartError::Full)
    );
    assert_eq!(full, before);
    assert_eq!(
        full.apply(Change::Add(line("last", 1))),
        Ok(()),
        "a line that is there can grow"
    );
}

#[test]
fn update_sets_the_quantity() {
    check(
        &[("a", 5), ("b", 1)],
        Change::Update(line("a", 2)),
        Ok(&[("a", 2), ("b", 1)]),
    );
    check(
        &[("a", 5)],
        Change::Update(line("b", 2)),
        Err(CartError::LineNotFound),
    );
}

#[test]
fn remove_takes_one_line() {
    check(
        &[("a", 5), ("b", 1), ("c", 1)],
        Change::Remove(sku("b")),
        Ok(&[("a", 5), ("c", 1)]),
    );
    check(
        &[("a", 5)],
        Change::Remove(sku("b")),
        Err(CartError::LineNotFound),
    );
}

#[test]
fn a_line_added_again_goes_to_the_end() {
    let mut changed = cart(&[("a", 1), ("b", 1)]);
    changed.apply(Change::Remove(sku("a"))).unwrap();
    changed.apply(Change::Add(line("a", 1))).unwrap();
    assert_eq!(changed, cart(&[("b", 1), ("a", 1)]));
}

#[test]
fn clear_empties_and_is_harmless_twice() {
    check(&[("a", 5), ("b", 1)], Change::Clear, Ok(&[]));
    check(&[], Change::Clear, Ok(&[]));
}

#[test]
fn stored_lines_must_be_a_cart() {
    let twice = [line("a", 1), line("a", 2)];
    assert_eq!(Cart::from_lines(twice), Err(CartError::DuplicateLine));
    let many = (0..101).map(|number| line(&format!("p{number}"), 1));
    assert_eq!(Cart::from_lines(many), Err(CartError::Full));
}

#[track_caller]
fn check_merge(user: &[(&str, i64)], guest: &[(&str, i64)], merged: &[(&str, i64)], pieces: u32) {
    let mut both = cart(user);
    assert_eq!(both.merge(cart(guest)), Leftover { lines: 0, pieces });
    assert_eq!(both, cart(merged));
}

#[test]
fn merge_adds_up_and_keeps_the_users_lines_first() {
    check_merge(
        &[("b", 1), ("a", 2)],
        &[("c", 3), ("a", 4)],
        &[("b", 1), ("a", 6), ("c", 3)],
        0,
    );
}

#[test]
fn merge_with_an_empty_side_is_the_other_side() {
    check_merge(&[], &[("c", 3), ("a", 4)], &[("c", 3), ("a", 4)], 0);
    check_merge(&[("c", 3), ("a", 4)], &[], &[("c", 3), ("a", 4)], 0);
}

#[test]
fn merge_caps_a_line_at_99_and_counts_the_rest() {
    check_merge(&[("a", 60)], &[("a", 60)], &[("a", 99)], 21);
    check_merge(&[("a", 99)], &[("a", 99)], &[("a", 99)], 99);
}

#[test]
fn merge_caps_the_cart_at_100_lines_and_counts_the_rest() {
    let mut user = cart_of(99);
    let guest = cart(&[("p5", 4), ("x", 1), ("y", 7), ("p6", 2), ("z", 2)]);
    let pieces_before = user.item_count() + guest.item_count();

    let leftover = user.merge(guest);

    assert_eq!(
        leftover,
        Leftover {
            lines: 2,
            pieces: 9
        }
    );
    assert_eq!(user.lines().len(), 100);
    assert_eq!(user.lines()[99], line("x", 1));
    assert_eq!(
        user.quantity_of(&sku("p6")),
        Some(Quantity::new(3).unwrap())
    );
    assert_eq!(user.item_count() + leftover.pieces, pieces_before);
}

const LIST: Products = Products::new(&[product("a", 250, true), product("old", 100, false)]);
const ABSURD: Products = Products::new(&[product("a", i64::MAX, true), product("b", 1, true)]);

const fn product(sku: &'static str, unit_price_minor: i64, is_sold: bool) -> Product {
    Product {
        sku,
        name: sku,
        description: "A thing.",
        unit_price_minor,
        is_sold,
    }
}

#[test]
fn totals_add_up_and_count_withdrawn_products() {
    let priced = PricedCart::of(&cart(&[("a", 3), ("old", 2)]), LIST).unwrap();
    let lines: Vec<_> = priced.lines.iter().map(|line| line.total_minor).collect();
    assert_eq!(lines, [750, 200]);
    assert_eq!((priced.total_minor, priced.item_count), (950, 5));
}

#[test]
fn an_unknown_product_is_left_out_of_the_total() {
    let priced = PricedCart::of(&cart(&[("mystery", 7), ("a", 1)]), LIST).unwrap();
    assert_eq!(
        (priced.total_minor, priced.item_count, priced.lines.len()),
        (250, 1, 1)
    );
    assert_eq!(priced.unknown, [sku("mystery")]);
}

#[test]
fn a_total_past_64_bits_is_an_error_and_no_wrap() {
    assert_eq!(
        PricedCart::of(&cart(&[("a", 2)]), ABSURD),
        Err(TotalOverflow)
    );
    assert_eq!(
        PricedCart::of(&cart(&[("a", 1), ("b", 1)]), ABSURD),
        Err(TotalOverflow)
    );
    assert!(PricedCart::of(&cart(&[("a", 1)]), ABSURD).is_ok());
}
