use prost::Message;
use prost_reflect::DynamicMessage;
use serde_json::json;

use super::*;
use crate::descriptors::testing;

mod attacks;
mod mapping;
mod requests;
mod round_trip;

/// `Echo` of `kinds.proto` with one of its messages in place of the real one.
fn whole_body(message: &str) -> Transcoding {
    Transcoding {
        input: testing::kinds(message),
        output: testing::kinds(message),
        body: RequestBody::Whole,
        response_body: None,
        variables: Vec::new(),
        update_mask: None,
    }
}

fn transcoding(method: &str, http: &str, body: &str, variables: &[&str]) -> Transcoding {
    let http = Method::from_bytes(http.as_bytes()).unwrap();
    let variables = variables.iter().copied();
    Transcoding::new(&testing::library_method(method), &http, body, "", variables).unwrap()
}

/// The JSON of what a request became, by prost-reflect's own writer.
fn echo(transcoding: &Transcoding, bytes: Bytes) -> serde_json::Value {
    let message = DynamicMessage::decode(transcoding.input.clone(), bytes).unwrap();
    let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap()
}

#[track_caller]
fn check_body(transcoding: &Transcoding, body: &str, expected: &serde_json::Value) {
    let bytes = transcoding.request(&[], None, body.as_bytes()).expect(body);
    assert_eq!(echo(transcoding, bytes), *expected, "{body}");
}

/// `field: description` of a refused request.
#[track_caller]
fn refusal(result: Result<Bytes, TranscodeError>) -> String {
    let error = result.expect_err("a refusal");
    match error.violations() {
        [violation] => format!("{}: {}", violation.field, violation.description),
        _ => error.detail(),
    }
}

#[test]
fn every_error_has_a_reason_and_words() {
    let violation = Violation::new("a.b", "is wrong");
    for (error, reason, detail) in [
        (
            TranscodeError::BodyNotAllowed,
            "BODY_NOT_ALLOWED",
            "this method takes no body",
        ),
        (
            TranscodeError::BodyMalformed { line: 1, column: 2 },
            "BODY_MALFORMED",
            "the body is not valid JSON (line 1, column 2)",
        ),
        (
            TranscodeError::Body(violation.clone()),
            "FIELD_INVALID",
            "a.b is wrong",
        ),
        (
            TranscodeError::Query(violation.clone()),
            "QUERY_INVALID",
            "a.b is wrong",
        ),
        (
            TranscodeError::Path(violation),
            "PATH_INVALID",
            "a.b is wrong",
        ),
    ] {
        assert_eq!((error.reason(), &*error.detail()), (reason, detail));
    }
    let whole = Violation::new("", "must be an object");
    assert_eq!(
        TranscodeError::Body(whole).detail(),
        "the body must be an object"
    );
}

#[test]
fn a_long_name_is_not_repeated_in_full() {
    let violation = Violation::new("é".repeat(5000), "is not a known field");
    assert!(violation.field.len() < 140);
}

#[test]
fn bytes_of_another_type_are_the_services_fault() {
    let transcoding = whole_body("Scalars");
    for bytes in [
        &b"\xff\xff\xff"[..],
        b"\x72\x02\xff\xfe",
        b"\x72\x7f",
        b"\x0a\x00",
    ] {
        let error = transcoding
            .response(Bytes::copy_from_slice(bytes))
            .unwrap_err();
        assert!(
            matches!(error, ResponseError::Undecodable(_)),
            "{bytes:?}: {error}"
        );
    }
}

#[test]
fn a_response_nested_beyond_the_decoders_bound_is_refused() {
    let transcoding = whole_body("Everything");
    let mut bytes = Vec::new();
    for _ in 0..200 {
        let mut outer = Vec::new();
        prost::encoding::encode_key(7, prost::encoding::WireType::LengthDelimited, &mut outer);
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    assert!(transcoding.response(bytes.into()).is_err());
}

#[test]
fn values_without_a_json_form_are_the_services_fault() {
    for (field, bytes, what) in [
        (
            "time",
            prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }
            .encode_to_vec(),
            "timestamp",
        ),
        (
            "time",
            prost_types::Timestamp {
                seconds: 0,
                nanos: -1,
            }
            .encode_to_vec(),
            "timestamp",
        ),
        (
            "duration",
            prost_types::Duration {
                seconds: i64::MIN,
                nanos: 0,
            }
            .encode_to_vec(),
            "duration",
        ),
        (
            "duration",
            prost_types::Duration {
                seconds: 1,
                nanos: -1,
            }
            .encode_to_vec(),
            "duration",
        ),
        (
            "mask",
            prost_types::FieldMask {
                paths: vec!["notSnake".to_owned()],
            }
            .encode_to_vec(),
            "field mask",
        ),
        (
            "any",
            prost_types::Any {
                type_url: "t/unknown.v1.M".to_owned(),
                value: vec![],
            }
            .encode_to_vec(),
            "value of unknown type",
        ),
        ("value", b"\x11\0\0\0\0\0\0\xf0\x7f".to_vec(), "number"),
    ] {
        let transcoding = whole_body("WellKnown");
        let mut message = DynamicMessage::new(transcoding.output.clone());
        let field = transcoding.output.get_field_by_name(field).unwrap();
        let kind = field.kind().as_message().unwrap().clone();
        let value = DynamicMessage::decode(kind, &*bytes).unwrap();
        message.set_field(&field, Value::Message(value));
        let error = transcoding
            .response(message.encode_to_vec().into())
            .unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_response_shows_defaults_and_leaves_absent_messages_out() {
    let method = testing::library_method("GetBook");
    let transcoding = Transcoding::new(&method, &Method::GET, "", "", std::iter::empty()).unwrap();
    let json = transcoding.response(Bytes::new()).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        json,
        json!({"id": "0", "title": "", "tags": [], "notes": {}})
    );
}

#[test]
fn a_response_body_is_one_field() {
    let books = |field: &str, bytes: &'static [u8]| {
        let method = testing::library_method("ListBooks");
        let transcoding =
            Transcoding::new(&method, &Method::GET, "", field, std::iter::empty()).unwrap();
        String::from_utf8(transcoding.response(Bytes::from_static(bytes)).unwrap()).unwrap()
    };
    assert_eq!(books("books", b""), "[]");
    assert_eq!(
        books("books", b"\x0a\x02\x08\x07\x0a\x03\x12\x01x"),
        r#"[{"id":"7","title":"","tags":[],"notes":{}},{"id":"0","title":"x","tags":[],"notes":{}}]"#
    );

    let cart = crate::descriptors::pool(proto::cart::v1::FILE_DESCRIPTOR_SET).unwrap();
    let cart = cart
        .get_service_by_name("latchkey.cart.v1.CartService")
        .unwrap();
    let get_cart = cart
        .methods()
        .find(|method| method.name() == "GetCart")
        .unwrap();
    let transcoding =
        Transcoding::new(&get_cart, &Method::GET, "", "cart", std::iter::empty()).unwrap();
    let json = transcoding.response(Bytes::new()).unwrap();
    assert_eq!(
        String::from_utf8(json).unwrap(),
        r#"{"lines":[],"total_minor":"0","currency":"","item_count":0}"#
    );
}
