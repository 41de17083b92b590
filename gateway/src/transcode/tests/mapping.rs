//! The JSON mapping, kind by kind.

use super::*;

/// A member of `Scalars`, and what it becomes.
#[track_caller]
fn check_scalar(body: &str, expected: serde_json::Value) {
    check_body(&whole_body("Scalars"), body, &expected);
}

#[track_caller]
fn check_refused(message: &str, body: &str, expected: &str) {
    let result = whole_body(message).request(&[], None, body.as_bytes());
    assert_eq!(refusal(result), expected, "{body}");
}

#[test]
fn integers_in_all_their_spellings() {
    check_scalar(r#"{"an_int32": 5}"#, json!({"an_int32": 5}));
    check_scalar(r#"{"an_int32": "-5"}"#, json!({"an_int32": -5}));
    check_scalar(r#"{"an_int32": 5.0}"#, json!({"an_int32": 5}));
    check_scalar(r#"{"an_int32": 5e3}"#, json!({"an_int32": 5000}));
    check_scalar(r#"{"anInt32": 2147483647}"#, json!({"an_int32": i32::MAX}));
    check_scalar(
        r#"{"an_int32": -2147483648}"#,
        json!({"an_int32": i32::MIN}),
    );
    check_scalar(
        r#"{"an_int64": "9223372036854775807"}"#,
        json!({"an_int64": "9223372036854775807"}),
    );
    check_scalar(
        r#"{"an_int64": -9223372036854775808}"#,
        json!({"an_int64": "-9223372036854775808"}),
    );
    check_scalar(
        r#"{"a_uint64": 18446744073709551615}"#,
        json!({"a_uint64": "18446744073709551615"}),
    );
    check_scalar(r#"{"a_uint64": "0"}"#, json!({}));
    check_scalar(r#"{"an_int32": -0}"#, json!({}));
    check_scalar(
        r#"{"a_sint32": -7, "a_sint64": "-8"}"#,
        json!({"a_sint32": -7, "a_sint64": "-8"}),
    );
    check_scalar(
        r#"{"a_fixed32": 1, "a_fixed64": 2, "a_sfixed32": -3, "a_sfixed64": -4}"#,
        json!({"a_fixed32": 1, "a_fixed64": "2", "a_sfixed32": -3, "a_sfixed64": "-4"}),
    );
}

#[test]
fn integers_out_of_range_name_their_field() {
    for (body, field) in [
        (r#"{"an_int32": 2147483648}"#, "an_int32"),
        (r#"{"anInt32": "-2147483649"}"#, "an_int32"),
        (r#"{"a_uint32": -1}"#, "a_uint32"),
        (r#"{"a_uint32": 4294967296}"#, "a_uint32"),
        (r#"{"an_int64": 9223372036854775808}"#, "an_int64"),
        (r#"{"an_int64": "9223372036854775808"}"#, "an_int64"),
        (r#"{"an_int64": 9223372036854775808.0}"#, "an_int64"),
        (r#"{"a_uint64": 18446744073709551616}"#, "a_uint64"),
        (r#"{"a_uint64": 18446744073709551616.0}"#, "a_uint64"),
        (r#"{"a_uint64": -1}"#, "a_uint64"),
        (r#"{"a_uint64": 1e300}"#, "a_uint64"),
        (r#"{"an_int32": 1e400}"#, "an_int32"),
        (r#"{"a_double": 1e400}"#, "a_double"),
        (r#"{"a_float": 1e39}"#, "a_float"),
        (r#"{"a_float": "-3.5e38"}"#, "a_float"),
        (r#"{"colour": 2147483648}"#, "colour"),
    ] {
        check_refused("Scalars", body, &format!("{field}: is out of range"));
    }
}

#[test]
fn what_is_no_integer_is_refused() {
    for value in [
        "1.5", "true", "[]", "{}", r#""""#, r#"" 1""#, r#""1 ""#, r#""+1""#, r#""01""#, r#""0x1""#,
        r#""1.0""#, r#""1e2""#, r#""one""#, r#""-""#, r#""--1""#, r#""NaN""#,
    ] {
        let body = format!(r#"{{"an_int32": {value}}}"#);
        check_refused("Scalars", &body, "an_int32: must be an integer");
    }
}

#[test]
fn floats_booleans_strings_bytes() {
    check_scalar(
        r#"{"a_double": 1.5, "a_float": "2.5"}"#,
        json!({"a_double": 1.5, "a_float": 2.5}),
    );
    check_scalar(
        r#"{"a_double": "NaN", "a_float": "-Infinity"}"#,
        json!({"a_double": "NaN", "a_float": "-Infinity"}),
    );
    check_scalar(
        r#"{"a_double": "1e3", "a_float": 7}"#,
        json!({"a_double": 1000.0, "a_float": 7.0}),
    );
    check_scalar(r#"{"a_bool": true}"#, json!({"a_bool": true}));
    check_scalar(
        r#"{"a_string": "é\u00e9\ud83d\ude00\u0000"}"#,
        json!({"a_string": "éé😀\0"}),
    );
    check_scalar(r#"{"some_bytes": "+/8="}"#, json!({"some_bytes": "+/8="}));
    check_scalar(r#"{"some_bytes": "-_8"}"#, json!({"some_bytes": "+/8="}));
    for (body, expected) in [
        (r#"{"a_double": "inf"}"#, "a_double: must be a number"),
        (r#"{"a_double": "infinity"}"#, "a_double: must be a number"),
        (r#"{"a_double": "nan"}"#, "a_double: must be a number"),
        (r#"{"a_double": ""}"#, "a_double: must be a number"),
        (r#"{"a_double": ".5"}"#, "a_double: must be a number"),
        (r#"{"a_double": "1e400"}"#, "a_double: must be a number"),
        (r#"{"a_double": "[1"}"#, "a_double: must be a number"),
        (r#"{"a_double": false}"#, "a_double: must be a number"),
        (r#"{"a_bool": "true"}"#, "a_bool: must be a boolean"),
        (r#"{"a_bool": 1}"#, "a_bool: must be a boolean"),
        (r#"{"a_string": 1}"#, "a_string: must be a string"),
        (r#"{"a_string": ["x"]}"#, "a_string: must be a string"),
        (
            r#"{"some_bytes": "a"}"#,
            "some_bytes: must be base64 in a string",
        ),
        (
            r#"{"some_bytes": "ab c"}"#,
            "some_bytes: must be base64 in a string",
        ),
        (
            r#"{"some_bytes": "-/8="}"#,
            "some_bytes: must be base64 in a string",
        ),
        (
            r#"{"some_bytes": "+/9="}"#,
            "some_bytes: must be base64 in a string",
        ),
        (
            r#"{"some_bytes": [1]}"#,
            "some_bytes: must be base64 in a string",
        ),
    ] {
        check_refused("Scalars", body, expected);
    }
}

#[test]
fn enums_by_name_and_number() {
    check_scalar(
        r#"{"colour": "COLOUR_RED"}"#,
        json!({"colour": "COLOUR_RED"}),
    );
    check_scalar(r#"{"colour": 2}"#, json!({"colour": "COLOUR_BLUE"}));
    check_scalar(r#"{"colour": -1}"#, json!({"colour": "COLOUR_NEGATIVE"}));
    check_scalar(r#"{"colour": 77}"#, json!({"colour": 77}));
    check_refused(
        "Scalars",
        r#"{"colour": "red"}"#,
        "colour: is not the name of a value",
    );
    check_refused(
        "Scalars",
        r#"{"colour": "1"}"#,
        "colour: is not the name of a value",
    );
    let number = "colour: must be the name or the number of a value";
    check_refused("Scalars", r#"{"colour": 1.5}"#, number);
    check_refused("Scalars", r#"{"colour": true}"#, number);
}

#[test]
fn null_is_absence_but_not_within_lists_and_maps() {
    check_scalar(
        r#"{"an_int32": null, "a_string": null, "colour": null}"#,
        json!({}),
    );
    check_body(
        &whole_body("Lists"),
        r#"{"strings": null, "messages": null}"#,
        &json!({}),
    );
    check_body(&whole_body("Maps"), r#"{"strings": null}"#, &json!({}));
    check_body(
        &whole_body("WellKnown"),
        r#"{"time": null, "struct": null}"#,
        &json!({}),
    );
    check_body(
        &whole_body("WellKnown"),
        r#"{"value": null}"#,
        &json!({"value": null}),
    );
    check_body(
        &whole_body("Oneof"),
        r#"{"text": null, "number": 1}"#,
        &json!({"number": 1}),
    );
    check_body(
        &whole_body("Oneof"),
        r#"{"nothing": null}"#,
        &json!({"nothing": null}),
    );
    check_refused(
        "Lists",
        r#"{"strings": ["a", null]}"#,
        "strings[1]: must not be null",
    );
    check_refused(
        "Lists",
        r#"{"messages": [null]}"#,
        "messages[0]: must not be null",
    );
    check_refused(
        "Maps",
        r#"{"strings": {"k": null}}"#,
        "strings.k: must not be null",
    );
}

#[test]
fn presence_survives() {
    check_scalar(
        r#"{"maybe_int32": 0, "maybe_string": ""}"#,
        json!({"maybe_int32": 0, "maybe_string": ""}),
    );
    check_scalar(r#"{"maybe_int32": null}"#, json!({}));
    check_body(
        &whole_body("Wrappers"),
        r#"{"a_bool": false}"#,
        &json!({"a_bool": false}),
    );
}

#[test]
fn maps_by_key_kind() {
    check_body(
        &whole_body("Maps"),
        r#"{"strings": {"": "e", "k": "v"}, "int32s": {"-1": "2"}, "uint64s": {"9": "COLOUR_RED"},
            "bools": {"true": "AA=="}, "messages": {"m": {"a_bool": true}}}"#,
        &json!({"strings": {"": "e", "k": "v"}, "int32s": {"-1": "2"}, "uint64s": {"9": "COLOUR_RED"},
            "bools": {"true": "AA=="}, "messages": {"m": {"a_bool": true}}}),
    );
    for (body, expected) in [
        (
            r#"{"int32s": {"x": "2"}}"#,
            "int32s.x: has a key of the wrong type",
        ),
        (
            r#"{"int32s": {"01": "2"}}"#,
            "int32s.01: has a key of the wrong type",
        ),
        (
            r#"{"int32s": {"2147483648": "2"}}"#,
            "int32s.2147483648: has a key of the wrong type",
        ),
        (
            r#"{"bools": {"1": ""}}"#,
            "bools.1: has a key of the wrong type",
        ),
        (r#"{"strings": []}"#, "strings: must be an object"),
        (r#"{"strings": {"k": 1}}"#, "strings.k: must be a string"),
        (
            r#"{"messages": {"m": {"a_bool": 1}}}"#,
            "messages.m.a_bool: must be a boolean",
        ),
    ] {
        check_refused("Maps", body, expected);
    }
}

#[test]
fn oneofs_have_one_member() {
    check_body(
        &whole_body("Oneof"),
        r#"{"text": ""}"#,
        &json!({"text": ""}),
    );
    let refusal = "is set together with another member of its oneof";
    check_refused(
        "Oneof",
        r#"{"text": "", "number": 0}"#,
        &format!("number: {refusal}"),
    );
    check_refused(
        "Oneof",
        r#"{"message": {}, "wrapped": "x"}"#,
        &format!("wrapped: {refusal}"),
    );
}

#[test]
fn timestamps_strictly() {
    for (text, canonical) in [
        ("2026-02-28T23:59:59Z", "2026-02-28T23:59:59Z"),
        ("2024-02-29T00:00:00.5Z", "2024-02-29T00:00:00.500Z"),
        ("2026-01-01T01:30:00+01:30", "2026-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        (
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59.999999999Z",
        ),
    ] {
        let body = format!(r#"{{"time": "{text}"}}"#);
        let expected =
            serde_json::from_str::<serde_json::Value>(&format!(r#"{{"time": "{canonical}"}}"#));
        check_body(&whole_body("WellKnown"), &body, &expected.unwrap());
    }
    for value in [
        r#""2026-02-29T00:00:00Z""#,
        r#""2026-13-01T00:00:00Z""#,
        r#""2026-00-01T00:00:00Z""#,
        r#""2026-01-01T24:00:00Z""#,
        r#""2026-01-01T00:60:00Z""#,
        r#""2026-01-01T00:00:61Z""#,
        r#""2026-01-01 00:00:00Z""#,
        r#""2026-01-01t00:00:00z""#,
        r#""2026-01-01T00:00:00""#,
        r#""2026-01-01""#,
        r#""2026-01-01T00:00Z""#,
        r#""2026-01-01T00:00:00.Z""#,
        r#""2026-01-01T00:00:00.1234567890Z""#,
        r#""2026-01-01T00:00:00+0100""#,
        r#""+2026-01-01T00:00:00Z""#,
        r#""0000-12-31T23:59:59Z""#,
        r#""0001-01-01T00:00:00+01:00""#,
        r#""9999-12-31T23:59:59-01:00""#,
        r#""""#,
        r#""é026-01-01T00:00:00Z""#,
        r#""2026-01-01T00:00:0é""#,
        "0",
        "{}",
        "[]",
        "true",
    ] {
        let expected = "time: must be an RFC 3339 time, like `2006-01-02T15:04:05Z`";
        check_refused("WellKnown", &format!(r#"{{"time": {value}}}"#), expected);
    }
}

#[test]
fn durations_and_masks_strictly() {
    let well_known = whole_body("WellKnown");
    for (text, canonical) in [
        ("1.5s", "1.500s"),
        ("-0.5s", "-0.500s"),
        ("0s", "0s"),
        ("315576000000s", "315576000000s"),
    ] {
        check_body(
            &well_known,
            &json!({"duration": text}).to_string(),
            &json!({"duration": canonical}),
        );
    }
    for text in [
        "",
        "s",
        "1",
        "1.s",
        ".5s",
        "1 s",
        "+1s",
        "1.0000000000s",
        "315576000001s",
        "1m",
        "--1s",
        "315576000000.1s",
        "99999999999999999999s",
        "-s",
        "1e3s",
    ] {
        let body = json!({"duration": text}).to_string();
        let expected = "duration: must be a duration in seconds, like `1.5s`";
        check_refused("WellKnown", &body, expected);
    }
    check_body(
        &well_known,
        r#"{"mask": "a,bC.dE,f_g"}"#,
        &json!({"mask": "a,bC.dE,fG"}),
    );
    check_body(&well_known, r#"{"mask": ""}"#, &json!({"mask": ""}));
    for text in ["a,", ",", "a..b", "a b", "a.", "é"] {
        let body = json!({"mask": text}).to_string();
        let expected = "mask: must be field names with commas between them";
        check_refused("WellKnown", &body, expected);
    }
}

#[test]
fn wrappers_are_their_values() {
    check_body(
        &whole_body("Wrappers"),
        r#"{"an_int64": "5", "a_string": "x", "some_bytes": "AA", "a_uint32": 3, "a_double": "NaN"}"#,
        // prost-reflect writes NaN within a wrapper as null.
        &json!({"an_int64": "5", "a_string": "x", "some_bytes": "AA==", "a_uint32": 3, "a_double": null}),
    );
    check_refused(
        "Wrappers",
        r#"{"an_int32": 2147483648}"#,
        "an_int32: is out of range",
    );
    check_refused(
        "Wrappers",
        r#"{"a_bool": {"value": true}}"#,
        "a_bool: has the wrong type",
    );
}

#[test]
fn free_form_json() {
    let json = r#"{"struct": {"a": [1.0, "x", null, {"b": true}], "": {}}, "value": [[]], "list": [1.5, {}]}"#;
    check_body(
        &whole_body("WellKnown"),
        json,
        &serde_json::from_str(json).unwrap(),
    );
    check_body(
        &whole_body("WellKnown"),
        r#"{"empty": {}}"#,
        &json!({"empty": {}}),
    );
    for (body, expected) in [
        (r#"{"struct": []}"#, "struct: must be an object"),
        (r#"{"list": {}}"#, "list: must be an array"),
        (
            r#"{"struct": {"a": 1, "a": 2}}"#,
            "struct.a: stands more than once",
        ),
        (
            r#"{"value": {"a": {"b": 1, "b": 1}}}"#,
            "value.a.b: stands more than once",
        ),
        (r#"{"empty": {"a": 1}}"#, "empty.a: is not a known field"),
    ] {
        check_refused("WellKnown", body, expected);
    }
}

#[test]
fn any_of_known_types() {
    let well_known = whole_body("WellKnown");
    for json in [
        r#"{"any": {"@type": "type.googleapis.com/kinds.v1.Scalars", "an_int64": "5"}}"#,
        r#"{"any": {"an_int64": "5", "@type": "x/kinds.v1.Scalars"}}"#,
        r#"{"any": {"@type": "x/google.protobuf.Duration", "value": "1s"}}"#,
    ] {
        check_body(&well_known, json, &serde_json::from_str(json).unwrap());
    }
    for (body, expected) in [
        (r#"{"any": {}}"#, "any: must have a `@type`"),
        (r#"{"any": {"@type": 1}}"#, "any: must have a `@type`"),
        (
            r#"{"any": {"@type": "kinds.v1.Scalars"}}"#,
            "any: has a `@type` that is not known",
        ),
        (
            r#"{"any": {"@type": "x/kinds.v1.Nothing"}}"#,
            "any: has a `@type` that is not known",
        ),
        (
            r#"{"any": {"@type": "x/kinds.v1.Scalars", "@type": "x/kinds.v1.Maps"}}"#,
            "any.@type: stands more than once",
        ),
        (
            r#"{"any": {"@type": "x/kinds.v1.Scalars", "nothing": 1}}"#,
            "any.nothing: is not a known field",
        ),
        (
            r#"{"any": {"@type": "x/kinds.v1.Scalars", "a_bool": "x"}}"#,
            "any.a_bool: must be a boolean",
        ),
        (
            r#"{"any": {"@type": "x/google.protobuf.Duration"}}"#,
            "any: must have a `value`",
        ),
        (
            r#"{"any": {"@type": "x/google.protobuf.Duration", "value": "1s", "a": 1}}"#,
            "any: must have nothing but `@type` and `value`",
        ),
        (r#"{"any": []}"#, "any: must be an object with `@type`"),
    ] {
        check_refused("WellKnown", body, expected);
    }
}
