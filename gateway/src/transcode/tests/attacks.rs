//! Bodies that are meant to hurt.

use super::*;

#[track_caller]
fn check(message: &str, body: &[u8], expected: &str) {
    let result = whole_body(message).request(&[], None, body);
    assert_eq!(
        refusal(result),
        expected,
        "{}",
        String::from_utf8_lossy(&body[..body.len().min(80)])
    );
}

#[test]
fn what_is_not_json_is_refused() {
    for body in [
        &b"{"[..],
        b"}",
        b"{]",
        b"nul",
        b"{\"a_bool\": tru}",
        b"{\"a_bool\"}",
        b"{\"a_bool\":}",
        b"{\"a_bool\": true,}",
        b"{,}",
        b"{\"a_bool\": true",
        b"{a_bool: true}",
        b"{'a_bool': true}",
        b"{} {}",
        b"{}x",
        b"{}\0",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"// c\n{}",
        b"{/* c */}",
        b"# c\n{}",
        b"{\"an_int32\": NaN}",
        b"{\"a_double\": Infinity}",
        b"{\"a_double\": -Infinity}",
        b"{\"an_int32\": +1}",
        b"{\"an_int32\": 01}",
        b"{\"an_int32\": 0x10}",
        b"{\"an_int32\": 1.}",
        b"{\"an_int32\": .5}",
        b"{\"an_int32\": 1e}",
        b"{\"an_int32\": -}",
        b"{\"a_string\": \"\\ud800\"}",
        b"{\"a_string\": \"\\udc00\\ud800\"}",
        b"{\"a_string\": \"\\ud800x\"}",
        b"{\"a_string\": \"\\u12\"}",
        b"{\"a_string\": \"\\x41\"}",
        b"{\"a_string\": \"\xff\"}",
        b"{\"a_string\": \"\xed\xa0\x80\"}",
        b"{\"a_string\": \"\xc0\x80\"}",
        b"{\"a_string\": \"a\nb\"}",
        b"{\"a_string\": \"\0\"}",
        b"{\"\xff\": 1}",
        b"{\"a_string\": \"",
        b" ",
        b"\n",
        b"\0",
    ] {
        let error = whole_body("Scalars").request(&[], None, body).unwrap_err();
        let malformed = matches!(error, TranscodeError::BodyMalformed { .. });
        assert!(malformed, "{:?}: {error:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn what_is_no_object_is_refused() {
    for body in [&b"null"[..], b"1", b"\"x\"", b"true", b"[]", b"[{}]"] {
        check("Scalars", body, ": must be an object");
    }
}

#[test]
fn unknown_members_are_refused_wherever_they_stand() {
    check(
        "Scalars",
        br#"{"nothing": 1}"#,
        "nothing: is not a known field",
    );
    check(
        "Scalars",
        br#"{"A_BOOL": true}"#,
        "A_BOOL: is not a known field",
    );
    check("Scalars", br#"{"": 1}"#, ": is not a known field");
    check(
        "Scalars",
        br#"{"__proto__": {}}"#,
        "__proto__: is not a known field",
    );
    check(
        "Everything",
        br#"{"inner": {"more": [{}, {"x": 1}]}}"#,
        "inner.more[1].x: is not a known field",
    );
    check(
        "Scalars",
        br#"{"[kinds.v1.extension]": 1}"#,
        "[kinds.v1.extension]: is not a known field",
    );
}

#[test]
fn no_member_may_stand_twice() {
    check(
        "Scalars",
        br#"{"a_bool": true, "a_bool": true}"#,
        "a_bool: stands more than once",
    );
    check(
        "Scalars",
        br#"{"a_bool": true, "aBool": false}"#,
        "aBool: stands more than once",
    );
    check(
        "Scalars",
        br#"{"a_bool": null, "a_bool": false}"#,
        "a_bool: stands more than once",
    );
    check(
        "Scalars",
        br#"{"a_bool": true, "a\u005fbool": false}"#,
        "a_bool: stands more than once",
    );
    check(
        "Everything",
        br#"{"inner": {"scalars": {}, "scalars": {}}}"#,
        "inner.scalars: stands more than once",
    );
    check(
        "Maps",
        br#"{"strings": {"a": "", "a": ""}}"#,
        "strings.a: stands more than once",
    );
    check(
        "Maps",
        br#"{"int32s": {"1": 1, "\u0031": 2}}"#,
        "int32s.1: stands more than once",
    );
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    let nested =
        |open: &str, close: &str, levels: usize| open.repeat(levels) + "{}" + &close.repeat(levels);
    let fine = nested(r#"{"inner":"#, "}", 63);
    assert!(
        whole_body("Everything")
            .request(&[], None, fine.as_bytes())
            .is_ok()
    );
    let too_deep = nested(r#"{"inner":"#, "}", 64);
    let error = refusal(whole_body("Everything").request(&[], None, too_deep.as_bytes()));
    assert!(error.ends_with("is nested too deeply"), "{error}");

    for (message, open) in [
        ("Everything", r#"{"inner":"#),
        ("Everything", r#"{"more":[{"inner":"#),
        ("WellKnown", r#"{"any":"#),
    ] {
        let body = open.repeat(100_000);
        assert!(
            whole_body(message)
                .request(&[], None, body.as_bytes())
                .is_err()
        );
    }
    for (field, open) in [
        ("value", "["),
        ("list", "["),
        ("struct", r#"{"a":"#),
        ("value", r#"{"a":[{"b":"#),
        ("any", r#"{"a":"#),
    ] {
        let body = format!(r#"{{"{field}":{}"#, open.repeat(100_000));
        let error = refusal(whole_body("WellKnown").request(&[], None, body.as_bytes()));
        assert!(error.ends_with("is nested too deeply"), "{field}: {error}");
    }
}

#[test]
fn what_is_accepted_stays_within_what_receivers_decode() {
    // prost, like most, stops at 100 levels; a struct's level is three of them.
    for (open, close) in [(r#"{"a":"#, "}"), ("[", "]"), (r#"{"a":["#, "]}")] {
        let deepest = (1..64)
            .rev()
            .map(|levels| {
                format!(
                    r#"{{"value":{}1{}}}"#,
                    open.repeat(levels),
                    close.repeat(levels)
                )
            })
            .find_map(|body| {
                whole_body("WellKnown")
                    .request(&[], None, body.as_bytes())
                    .ok()
            })
            .unwrap();
        let message = testing::kinds("WellKnown");
        DynamicMessage::decode(message, deepest).unwrap();
    }
}

#[test]
fn a_large_body_is_read_once_and_refused_at_the_first_fault() {
    let list = format!(r#"{{"int64s": [{}x]}}"#, "1,".repeat(100_000));
    assert!(matches!(
        whole_body("Lists").request(&[], None, list.as_bytes()),
        Err(TranscodeError::BodyMalformed { .. })
    ));
    let mixed = format!(r#"{{"int64s": [{}true]}}"#, "1,".repeat(1000));
    check(
        "Lists",
        mixed.as_bytes(),
        "int64s[1000]: must be an integer",
    );
    let name = format!(r#"{{"{}": 1}}"#, "a".repeat(1 << 20));
    assert!(refusal(whole_body("Scalars").request(&[], None, name.as_bytes())).len() < 200);
    let digits = format!(r#"{{"a_double": {}}}"#, "9".repeat(100_000));
    assert!(
        whole_body("Scalars")
            .request(&[], None, digits.as_bytes())
            .is_err()
    );
    let digits = format!(r#"{{"an_int64": "{}"}}"#, "9".repeat(100_000));
    check("Scalars", digits.as_bytes(), "an_int64: must be an integer");
}

#[test]
fn refusals_do_not_repeat_values() {
    let body = br#"{"a_bool": "<script>secret</script>"}"#;
    let error = whole_body("Scalars").request(&[], None, body).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}
