use super::*;

#[test]
fn attributes_are_exactly_these() {
    let secret = SessionSecret::parse(&"A".repeat(43)).unwrap();
    assert_eq!(
        set(&secret).to_str().unwrap(),
        format!(
            "__Host-Http-session={}; Secure; HttpOnly; SameSite=Lax; Path=/",
            "A".repeat(43)
        ),
    );
    assert!(set(&secret).is_sensitive());
    assert_eq!(
        clear(),
        "__Host-Http-session=; Secure; HttpOnly; SameSite=Lax; Path=/; Max-Age=0",
    );
}
