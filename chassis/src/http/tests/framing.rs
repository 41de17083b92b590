//! Malformed, oversized and ambiguous heads, byte for byte.

use super::*;

/// What the server answers to `request`; it must close the connection after it, and
/// the service must not have seen the request.
async fn check_refused(request: &str, status: &str) {
    let server = start(Limits::default()).await;
    // Were the connection not closed, this second request would be answered.
    let follow_up = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = server.exchange(format!("{request}{follow_up}")).await;
    let expected = format!("HTTP/1.1 {status}");
    assert!(answer.starts_with(&expected), "{request:?}: {answer:?}");
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "{request:?}: {answer:?}"
    );
    assert_eq!(server.seen(), 0, "{request:?}");
}

#[tokio::test]
async fn refuses_ambiguous_lengths() {
    for headers in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "Transfer-Encoding: CHUNKED\r\nCONTENT-LENGTH: 0",
        "content-length: 4\r\ncontent-length: 5",
        "content-length: 4, 4",
        "content-length: +4",
        "content-length: -1",
        "content-length: 0x4",
        "content-length: ",
        "content-length: 99999999999999999999999",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
    ] {
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n0\r\n\r\n");
        check_refused(&request, "400").await;
    }
    check_refused(
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "400",
    )
    .await;
}

#[tokio::test]
async fn refuses_ambiguous_lines() {
    for request in [
        "GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\r\n 2\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n x-a: 1\r\n\r\n",
        "GET / HTTP/1.1\nhost: x\n\n",
        "GET / HTTP/1.1\r\nhost: x\nx-a: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\r2\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx a: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx-a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx-a: \0\r\n\r\n",
        "GET http://x HTTP/1.1\nhost: x\n\n",
        "GET /a#b HTTP/1.1\r\nhost: x\n\r\n",
        "GET /a#b HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /# HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET http://x/#b HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        "GET  / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / a HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1 \r\nhost: x\r\n\r\n",
        "G@T / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/3.7\r\nhost: x\r\n\r\n",
    ] {
        check_refused(request, "400").await;
    }
}

#[tokio::test]
async fn refuses_what_is_too_large() {
    let lines = "x-a: 1\r\n".repeat(101);
    check_refused(&format!("GET / HTTP/1.1\r\n{lines}\r\n"), "431").await;
    let long = "a".repeat(17 << 10);
    check_refused(&format!("GET / HTTP/1.1\r\nx-a: {long}\r\n\r\n"), "431").await;
    let path = "a".repeat(9 << 10);
    check_refused(&format!("GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n"), "414").await;
}

#[tokio::test]
async fn a_chunked_request_is_served_and_so_is_the_next() {
    let server = start(Limits::default()).await;
    let mut stream = server.connect().await;
    for (request, answer) in [
        (
            "POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc",
            "POST /1 3",
        ),
        (
            "POST /2 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "POST /2 3",
        ),
        (
            "POST /3 HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab",
            "POST /3 2",
        ),
        (
            "POST /4 HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            "POST /4 1",
        ),
    ] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let response = read_response(&mut stream).await;
        assert!(
            response.starts_with("HTTP/1.1 200") && response.ends_with(answer),
            "{response}"
        );
    }
}

#[tokio::test]
async fn pipelined_requests_are_looked_at_one_by_one() {
    let server = start(Limits::default()).await;
    let answer = server
        .exchange(
            "GET /1 HTTP/1.1\r\nhost: x\r\n\r\n\
             POST /2 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc\
             GET /3 HTTP/1.1\r\nhost: x\r\n\r\n\
             POST /4 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n\
             0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
        )
        .await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{answer}");
    assert!(!answer.contains("smuggled"), "{answer}");
}

#[tokio::test]
async fn a_planted_head_does_not_hide_the_real_one() {
    let server = start(Limits::default()).await;
    // The first body looks like the head that follows, without its length.
    let planted = "POST /2 HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = server
        .exchange(format!(
            "POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{planted}\
             POST /2 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n\
             0\r\n\r\n",
            planted.len(),
        ))
        .await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{answer}");
}

/// Sends `planted` as a body, and once that is answered `request`, which must be refused.
async fn check_planted(planted: &str, request: &str) {
    let server = start(Limits::default()).await;
    let mut stream = server.connect().await;
    let length = planted.len();
    let head = format!("POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    while server.seen() == 0 {
        // So that the body comes in a read of its own.
        tokio::task::yield_now().await;
    }
    stream.write_all(planted.as_bytes()).await.unwrap();
    let response = read_response(&mut stream).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let response = read_response(&mut stream).await;
    assert!(
        response.starts_with("HTTP/1.1 400"),
        "{planted:?} {request:?}: {response}"
    );
    assert_eq!(server.seen(), 1, "{planted:?} {request:?}");
}

#[tokio::test]
async fn a_planted_head_does_not_hide_bare_line_feeds() {
    let real = "GET /2 HTTP/1.1\nhost: x\n\n";
    check_planted("GET /2 HTTP/1.1\r\n\r\n", real).await;
    check_planted("GET /2 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", real).await;
    check_planted("GET /2 HTTP/1.1\r\n\r\nand more", real).await;
    // Written otherwise than it is parsed.
    check_planted(
        "GET http://x/ HTTP/1.1\r\n\r\n",
        "GET http://x HTTP/1.1\nhost: x\n\n",
    )
    .await;
    check_planted(
        "GET /2 HTTP/1.1\r\n\r\n",
        "GET /2#x HTTP/1.1\r\nhost: x\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn a_planted_preface_does_not_end_the_looking() {
    check_planted(
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /2 HTTP/1.1\nhost: x\n\n",
    )
    .await;
}

#[tokio::test]
async fn line_feeds_in_bodies_are_nobodys_business() {
    let server = start(Limits::default()).await;
    let post = "POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\n{\n#\n}\n";
    // Pipelined; a blank line before a request is allowed (RFC 9112 §2.2).
    let answer = server
        .exchange(format!(
            "{post}{post}\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n"
        ))
        .await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
}

#[tokio::test]
async fn bad_chunks_end_the_connection() {
    for chunks in [
        "x\r\n",
        "-1\r\n",
        "3;\rabc\r\n",
        "ffffffffffffffffff\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
    ] {
        let server = start(Limits::default()).await;
        let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let follow_up = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
        let answer = server.exchange(format!("{head}{chunks}{follow_up}")).await;
        assert!(!answer.contains("smuggled"), "{chunks:?}: {answer:?}");
    }
}
