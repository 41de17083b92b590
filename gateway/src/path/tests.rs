use super::*;

#[test]
fn accepts_plain_paths() {
    for path in [
        "/",
        "/api/cart",
        "/api/cart/",
        "/api/cart/items/tea-pot_1.5~x",
        "/a/b:verb",
        "/a/%20b",
        "/a/%C3%A9",
        "/a/%25",
        "/a/...",
        "/a/@!$&'()*+,=",
    ] {
        assert_eq!(check(path), Ok(()), "{path}");
    }
}

#[test]
fn refuses_every_second_spelling() {
    for path in [
        "",
        "*",
        "api",
        "//",
        "//api/cart",
        "/api//cart",
        "/api/cart//",
        "/./api",
        "/api/.",
        "/api/..",
        "/api/../auth",
        "/api/%2e%2e/auth",
        "/api/%2E./auth",
        "/api/.%2e/auth",
        "/api%2fcart",
        "/api%2Fcart",
        "/api\\cart",
        "/api%5ccart",
        "/api;x=y/cart",
        "/api/cart;",
        "/api/cart%00",
        "/api/cart%0d%0a",
        "/api/cart%7f",
        "/api/cart#x",
        "/%61pi/cart",
        "/api/%",
        "/api/%4",
        "/api/%zz",
        "/api/ cart",
        "/api/caf\u{e9}",
        "http://localhost/api/cart",
    ] {
        assert_eq!(check(path), Err(PathNotNormal), "{path}");
    }
}
