//! Messages that are wrong, from somebody who may call: a clear status, nothing
//! changed, and the program goes on serving.

use bytes::{BufMut, BytesMut};
use chassis::status::{reason_of, violations_of};
use prost::Message;
use proto::cart::v1::{AddItemRequest, RemoveItemRequest, UpdateItemRequest};
use tonic::{Code, Status};

use crate::{
    harness::{ALICE, Program, with},
    raw::{Answer, Body, Raw, bearer, body, frame, framed},
};

const ADD_ITEM: &str = "/latchkey.cart.v1.CartService/AddItem";
const MAX_REQUEST: usize = 64 * 1024;

fn good() -> AddItemRequest {
    AddItemRequest {
        sku: "brass-key".into(),
        quantity: 1,
    }
}

/// The good message with an unknown field that makes it this long.
fn padded(length: usize) -> Vec<u8> {
    let mut message = BytesMut::from(&good().encode_to_vec()[..]);
    // Field 15, length-delimited, with a length of three bytes.
    let padding = length - message.len() - 4;
    message.put_u8(15 << 3 | 2);
    message.put_slice(&[
        padding as u8 | 0x80,
        (padding >> 7) as u8 | 0x80,
        (padding >> 14) as u8,
    ]);
    message.put_bytes(b'x', padding);
    assert_eq!(message.len(), length);
    message.to_vec()
}

/// The door, and what it held before.
struct Door {
    program: Program,
    raw: Raw,
}

impl Door {
    async fn open() -> Self {
        let program = Program::start().await;
        let raw = Raw::connect(program.address).await;
        Self { program, raw }
    }

    async fn send(&mut self, headers: &[(&str, Vec<u8>)], body: Body) -> Answer {
        let mut all = vec![bearer(&self.program.token(ALICE))];
        all.extend(headers.iter().cloned());
        self.raw.send(ADD_ITEM, &all, body).await
    }

    /// Nothing was written, and a good request is served.
    async fn expect_unharmed(mut self) {
        assert_eq!(self.program.rows().await, 0);
        let answer = self.send(&[], framed(&good().encode_to_vec())).await;
        assert_eq!(answer.code(), Code::Ok);
    }
}

#[tokio::test]
async fn malformed_messages_are_invalid_arguments() {
    let mut door = Door::open().await;
    let deep_groups = [vec![0x7b; 10_000], vec![0x7c; 10_000]].concat();
    let invalid_utf8 = [&[0x0a, 4][..], b"ab\xff\xfe", &[0x10, 1]].concat();
    for (name, message) in [
        ("a length past the end", vec![0x0a, 0x7f]),
        (
            "a length of ten bytes",
            [vec![0x0a], vec![0xff; 10]].concat(),
        ),
        (
            "a varint that never ends",
            [vec![0x10], vec![0xff; 11]].concat(),
        ),
        ("a string that is a number", vec![0x08, 1]),
        ("field number nought", vec![0x00, 1]),
        ("a wire type that is none", vec![0x0f]),
        ("the end of no group", vec![0x7c]),
        ("a group that never ends", vec![0x7b]),
        ("groups ten thousand deep", deep_groups),
        ("invalid UTF-8", invalid_utf8),
    ] {
        let answer = door.send(&[], framed(&message)).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{name}: {answer:?}");
        assert_eq!(
            answer.reason().as_deref(),
            Some("MALFORMED_MESSAGE"),
            "{name}"
        );
    }
    door.expect_unharmed().await;
}

#[tokio::test]
async fn malformed_frames_are_invalid_arguments() {
    let mut door = Door::open().await;
    for (name, body) in [
        ("no frame", body(&b""[..])),
        ("half a frame's head", body(&b"\0\0"[..])),
        ("fewer bytes than declared", frame(0, 100, b"abc")),
        ("a flag that is none", frame(7, 0, b"")),
        ("compressed with nothing", frame(1, 3, b"abc")),
    ] {
        let answer = door.send(&[], body).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{name}: {answer:?}");
    }
    door.expect_unharmed().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_not_read() {
    let mut door = Door::open().await;
    for (name, body) in [
        ("one byte over", framed(&padded(MAX_REQUEST + 1))),
        ("far over", framed(&padded(1_000_000))),
        ("a length that lies", frame(0, u32::MAX, b"abc")),
    ] {
        let answer = door.send(&[], body).await;
        assert_eq!(answer.code(), Code::ResourceExhausted, "{name}: {answer:?}");
        assert_eq!(
            answer.reason().as_deref(),
            Some("MESSAGE_TOO_LARGE"),
            "{name}"
        );
    }
    door.expect_unharmed().await;
}

#[tokio::test]
async fn a_message_at_the_limit_is_read() {
    let mut door = Door::open().await;
    let answer = door.send(&[], framed(&padded(MAX_REQUEST))).await;
    assert_eq!(answer.code(), Code::Ok);
}

#[tokio::test]
async fn compression_is_not_spoken() {
    let mut door = Door::open().await;
    // Ten megabytes of zeroes, as gzip would have them, start like this; nothing here
    // ever looks.
    let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3][..], &[0; 10_000]].concat();
    for encoding in ["gzip", "deflate", "zstd", "br", "nonsense"] {
        let headers = [("grpc-encoding", encoding.as_bytes().to_vec())];
        let body = frame(1, u32::try_from(bomb.len()).unwrap(), &bomb);
        let answer = door.send(&headers, body).await;
        assert_eq!(answer.code(), Code::Unimplemented, "{encoding}: {answer:?}");
    }
    door.expect_unharmed().await;
}

#[tokio::test]
async fn hostile_metadata_is_harmless() {
    let mut door = Door::open().await;
    let answer = door
        .send(&[("grpc-timeout", b"soon".to_vec())], framed(b""))
        .await;
    assert_eq!(answer.code(), Code::InvalidArgument, "{answer:?}");
    let answer = door
        .send(&[("content-type", b"text/plain".to_vec())], framed(b""))
        .await;
    assert_eq!(answer.http, http::StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // Not base64, not a trace, not an id: ignored by everybody.
    for (name, value) in [
        ("x-data-bin", &b"!!!"[..]),
        ("traceparent", b"00-zz-zz-zz"),
        ("x-request-id", b"\xff\xfe"),
    ] {
        let answer = door
            .send(&[(name, value.to_vec())], framed(&[0x10, 0]))
            .await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{name}: {answer:?}");
        assert_eq!(
            violations_of(&answer.status).len(),
            2,
            "the message was read: {name}"
        );
    }
    door.expect_unharmed().await;
}

/// The fields that are refused, each once.
#[track_caller]
fn check(refused: Status, fields: &[&str]) {
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    assert_eq!(reason_of(&refused).as_deref(), Some("INVALID_ARGUMENT"));
    let found: Vec<_> = violations_of(&refused)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(found, fields, "{refused:?}");
}

#[tokio::test]
async fn skus_and_quantities_are_checked() {
    let program = Program::start().await;
    let mut client = program.client().await;
    let alice = program.token(ALICE);
    let long = "x".repeat(33);
    for sku in [
        "",
        "Brass-Key",
        "brass key",
        "' OR 1=1 --",
        "ключ",
        "a\0b",
        &long,
    ] {
        let add = AddItemRequest {
            sku: sku.into(),
            quantity: 1,
        };
        check(
            client.add_item(with(&alice, add)).await.unwrap_err(),
            &["sku"],
        );
        let update = UpdateItemRequest {
            sku: sku.into(),
            quantity: 1,
        };
        check(
            client.update_item(with(&alice, update)).await.unwrap_err(),
            &["sku"],
        );
        let remove = RemoveItemRequest { sku: sku.into() };
        check(
            client.remove_item(with(&alice, remove)).await.unwrap_err(),
            &["sku"],
        );
    }
    for quantity in [0, -1, 100, i32::MIN, i32::MAX] {
        let add = AddItemRequest { quantity, ..good() };
        check(
            client.add_item(with(&alice, add)).await.unwrap_err(),
            &["quantity"],
        );
        let update = UpdateItemRequest {
            sku: "brass-key".into(),
            quantity,
        };
        check(
            client.update_item(with(&alice, update)).await.unwrap_err(),
            &["quantity"],
        );
    }
    let both = AddItemRequest {
        sku: "no-such-product".into(),
        quantity: 0,
    };
    check(
        client.add_item(with(&alice, both)).await.unwrap_err(),
        &["sku", "quantity"],
    );
    assert_eq!(program.rows().await, 0);
}
