use super::*;

#[track_caller]
fn refuses(text: &[u8]) {
    assert!(object(text).is_err(), "{}", String::from_utf8_lossy(text));
}

#[test]
fn reads_an_object() {
    let members = object(br#" {"a":1,"b":[true,null,"x",1.5,18446744073709551616]} "#).unwrap();
    assert_eq!(members["a"], Json::Integer(1));
    let expected = [
        Json::Bool,
        Json::Null,
        Json::String("x".into()),
        Json::OtherNumber,
        Json::OtherNumber,
    ];
    assert_eq!(members["b"], Json::Array(expected.into()));
}

#[test]
fn refuses_duplicate_names_at_any_depth() {
    refuses(br#"{"a":1,"a":1}"#);
    refuses(br#"{"x":[{"a":1,"a":2}]}"#);
    refuses(br#"{"a":1,"\u0061":2}"#);
}

#[test]
fn refuses_what_is_not_one_json_object() {
    for text in [
        &b""[..],
        b"[]",
        b"1",
        b"null",
        b"{} {}",
        b"{}x",
        b"{'a':1}",
        b"{\"a\":1,}",
        b"{\"a\":NaN}",
        b"{\"a\":1e400}",
        b"{\"a\":01}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\n\"}",
        b"{\0}",
        "{\"a\":1}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
            .as_slice(),
    ] {
        refuses(text);
    }
}

#[test]
fn refuses_deep_nesting() {
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(object(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
    refuses(nested(MAX_DEPTH).as_bytes());
    refuses(nested(30_000).as_bytes());
}
