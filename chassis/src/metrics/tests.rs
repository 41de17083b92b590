use prometheus_client::metrics::counter::Counter;

use super::*;

#[test]
fn shows_what_was_registered() {
    let metrics = Metrics::new("cart-service");
    let merges: Counter = metrics.register("cart_merges", "Guest carts merged", Counter::default());
    merges.inc();
    let text = metrics.encode();
    assert!(
        text.contains("latchkey_cart_merges_total{program=\"cart-service\"} 1"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_name_is_shown_once() {
    let metrics = Metrics::new("cart-service");
    let first: Counter = metrics.register("sessions", "Sessions", Counter::default());
    let second: Counter = metrics.register("sessions", "Sessions", Counter::default());
    first.inc();
    second.inc_by(5);
    let text = metrics.encode();
    assert_eq!(
        text.matches("# TYPE latchkey_sessions").count(),
        1,
        "{text}"
    );
    assert!(
        text.contains("latchkey_sessions_total{program=\"cart-service\"} 1"),
        "{text}"
    );
}
