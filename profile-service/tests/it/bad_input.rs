//! Messages that are wrong, from somebody who may call: a clear status, nothing
//! changed, and the program goes on serving.

use bytes::{BufMut, BytesMut};
use chassis::status::{reason_of, violations_of};
use prost::Message;
use prost_types::FieldMask;
use proto::profile::v1::{Profile, UpdateProfileRequest};
use tonic::{Code, Status};

use crate::{
    calls::Caller,
    harness::{ALICE, Program},
    raw::{Answer, Body, Raw, bearer, body, frame, framed},
};

const UPDATE_PROFILE: &str = "/latchkey.profile.v1.ProfileService/UpdateProfile";
const MAX_REQUEST: usize = 64 * 1024;

fn good() -> UpdateProfileRequest {
    UpdateProfileRequest {
        profile: Some(Profile {
            theme: "dark".into(),
            ..Profile::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["theme".into()],
        }),
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
        self.raw.send(UPDATE_PROFILE, &all, body).await
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
    for (name, message) in [
        ("a length past the end", vec![0x0a, 0x7f]),
        ("an inner length past the end", vec![0x0a, 2, 0x12, 9]),
        (
            "a length of ten bytes",
            [vec![0x0a], vec![0xff; 10]].concat(),
        ),
        ("a message that is a number", vec![0x08, 1]),
        ("field number nought", vec![0x00, 1]),
        ("a wire type that is none", vec![0x0f]),
        ("the end of no group", vec![0x7c]),
        ("a group that never ends", vec![0x7b]),
        ("groups ten thousand deep", deep_groups),
        ("an invalid UTF-8 name", vec![0x0a, 4, 0x12, 2, 0xff, 0xfe]),
        ("an invalid UTF-8 path", vec![0x12, 4, 0x0a, 2, 0xc0, 0x80]),
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
            .send(&[(name, value.to_vec())], framed(&[0x0a, 0]))
            .await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{name}: {answer:?}");
        assert_eq!(
            violations_of(&answer.status).len(),
            1,
            "the message was read: {name}"
        );
    }
    door.expect_unharmed().await;
}

/// The fields that are refused, each once.
#[track_caller]
fn check(answer: Result<Profile, Status>, fields: &[&str]) {
    let refused = answer.expect_err("a refusal");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    assert_eq!(reason_of(&refused).as_deref(), Some("INVALID_ARGUMENT"));
    let found: Vec<_> = violations_of(&refused)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(found, fields, "{refused:?}");
}

#[tokio::test]
async fn every_field_is_checked() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    let long = "x".repeat(81);
    for name in ["", "   ", "a\nb", "a\0b", "a\u{202E}b", "\u{200D}", &long] {
        check(
            alice.set(&[("display_name", name)]).await,
            &["display_name"],
        );
    }
    for theme in ["", "Dark", "plaid"] {
        check(alice.set(&[("theme", theme)]).await, &["theme"]);
    }
    for locale in ["", "english!", "en_GB", "und", "en-u-ca-buddhist", &long] {
        check(alice.set(&[("locale", locale)]).await, &["locale"]);
    }
    for currency in ["", "eur", "ABC", "EURO"] {
        check(alice.set(&[("currency", currency)]).await, &["currency"]);
    }
    let everything = [
        ("theme", "x"),
        ("locale", "!"),
        ("currency", "x"),
        ("display_name", ""),
    ];
    check(
        alice.set(&everything).await,
        &["theme", "locale", "currency", "display_name"],
    );
    check(
        alice.set(&[("theme", "dark"), ("locale", "!")]).await,
        &["locale"],
    );
    assert_eq!(program.rows().await, 0, "one bad field, and nothing is set");
}

#[tokio::test]
async fn the_mask_is_checked() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    let dark = || {
        Some(Profile {
            theme: "dark".into(),
            ..Profile::default()
        })
    };
    check(alice.update(dark(), None).await, &["update_mask"]);
    check(alice.update(dark(), Some(&[])).await, &["update_mask"]);
    for path in [
        "subject",
        "*",
        "",
        "profile.theme",
        "displayName",
        "no_such_field",
    ] {
        check(
            alice.update(dark(), Some(&["theme", path])).await,
            &["update_mask"],
        );
    }
    check(alice.update(None, Some(&["theme"])).await, &["theme"]);
    check(alice.update(None, None).await, &["update_mask"]);
    assert_eq!(program.rows().await, 0);

    let twice = alice
        .update(dark(), Some(&["theme", "theme"]))
        .await
        .unwrap();
    assert_eq!(twice.theme, "dark");
}

#[tokio::test]
async fn the_answer_to_a_hostile_mask_reaches_its_sender() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    let paths: Vec<_> = (0..3_000)
        .map(|number| format!("\n{number}{}", "x".repeat(9)))
        .collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    check(alice.update(None, Some(&paths)).await, &["update_mask"; 16]);
}
