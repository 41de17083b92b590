//! What the issuer can do to us over a real socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::key_set::KeySet;
use crate::testing::TestIssuer;

/// Answers every connection with the same bytes, counting them, then closes.
async fn serve(answer: impl Into<Vec<u8>>) -> (HttpFetch, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
    let (answer, served) = (answer.into(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            read_head(&mut connection).await;
            // The reader may have had enough before the end.
            let _ = connection.write_all(&answer).await;
        }
    });
    (HttpFetch::new(uri.parse().unwrap()), served)
}

async fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn ok(headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n\r\n{body}")
}

async fn fails(answer: impl Into<Vec<u8>>) -> FetchError {
    let (fetch, _) = serve(answer).await;
    let etag = HeaderValue::from_static("\"held\"");
    fetch
        .fetch(Some(&etag))
        .await
        .err()
        .expect("nothing to accept")
}

#[tokio::test]
async fn takes_a_document_with_its_age_and_name() {
    let jwks = TestIssuer::new("i").jwks_json();
    for content_type in [
        "application/json",
        "application/jwk-set+json",
        "Application/JSON; charset=utf-8",
    ] {
        let headers = format!(
            "content-type: {content_type}\r\netag: \"7\"\r\ncache-control: public, max-age=90"
        );
        let (fetch, _) = serve(ok(&headers, &jwks)).await;
        let fetched = fetch.fetch(None).await.unwrap();
        assert_eq!(fetched.max_age, Some(Duration::from_secs(90)));
        let Content::Document { bytes, etag } = fetched.content else {
            panic!("a document");
        };
        assert_eq!(etag.unwrap(), "\"7\"");
        KeySet::from_json(&bytes).unwrap();
    }
}

#[tokio::test]
async fn sends_the_name_it_holds_and_takes_304() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
    let fetch = HttpFetch::new(uri.parse().unwrap());
    let server = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let head = read_head(&mut connection).await;
        connection
            .write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n")
            .await
            .unwrap();
        head
    };
    let etag = HeaderValue::from_static("\"held\"");
    let (fetched, head) = tokio::join!(fetch.fetch(Some(&etag)), server);
    assert!(matches!(fetched.unwrap().content, Content::Unchanged));
    assert!(head.starts_with("GET /jwks HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("if-none-match: \"held\"\r\n"), "{head}");
    assert!(!head.contains("accept-encoding"), "{head}");
}

#[tokio::test]
async fn refuses_304_when_it_holds_nothing() {
    let (fetch, _) = serve("HTTP/1.1 304 Not Modified\r\n\r\n").await;
    let error = fetch.fetch(None).await.err().unwrap();
    assert!(matches!(
        error,
        FetchError::Status(StatusCode::NOT_MODIFIED)
    ));
}

// TJ-22, TJ-23: redirects are not followed.
#[tokio::test]
async fn follows_no_redirect() {
    let jwks = TestIssuer::new("i").jwks_json();
    let (elsewhere, visits) = serve(ok("content-type: application/json", &jwks)).await;
    for status in [301, 302, 303, 307, 308] {
        let location = &elsewhere.uri;
        let answer =
            format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        assert!(matches!(fails(answer).await, FetchError::Status(s) if s == status));
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn refuses_every_other_status() {
    let jwks = TestIssuer::new("i").jwks_json();
    for status in [
        "201 Created",
        "203 Other",
        "204 None",
        "206 Partial",
        "400 Bad",
        "401 Who",
        "404 No",
        "500 Oh",
        "503 Busy",
    ] {
        let answer = ok("content-type: application/json", &jwks).replace("200 OK", status);
        assert!(
            matches!(fails(answer).await, FetchError::Status(_)),
            "{status}"
        );
    }
}

#[tokio::test]
async fn refuses_what_is_not_plain_json() {
    let jwks = TestIssuer::new("i").jwks_json();
    for headers in [
        "x-nothing: 1",
        "content-type: text/html",
        "content-type: text/plain",
        "content-type: application/jsonp",
        "content-type: application/xml; x=application/json",
        "content-type: application/json\r\ncontent-encoding: gzip",
    ] {
        let error = fails(ok(headers, &jwks)).await;
        assert!(matches!(error, FetchError::ContentType), "{headers}");
    }
}

#[tokio::test]
async fn refuses_an_answer_that_breaks_off() {
    let answer = ok(
        "content-type: application/json",
        &TestIssuer::new("i").jwks_json(),
    );
    let error = fails(&answer[..answer.len() - 9]).await;
    assert!(matches!(error, FetchError::Body(_)), "{error:?}");
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n\r\n5\r\n{\"key";
    assert!(matches!(fails(chunked).await, FetchError::Body(_)));
    assert!(matches!(
        fails("garbage\r\n\r\n").await,
        FetchError::Request(_)
    ));
    assert!(matches!(fails("").await, FetchError::Request(_)));
}

// TJ-22: 50 MB, of which no more than the bound is read.
#[tokio::test]
async fn stops_reading_at_the_bound() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
    let fetch = HttpFetch::new(uri.parse().unwrap());
    let server = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        read_head(&mut connection).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        connection.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        let mut sent = 0;
        while sent < 50 << 20 && connection.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
        }
        sent
    };
    let (fetched, sent) = tokio::join!(fetch.fetch(None), server);
    let error = fetched.err().unwrap();
    assert!(
        matches!(error, FetchError::Document(JwksError::TooLarge)),
        "{error:?}"
    );
    // What the sockets buffered, and by far not all of it.
    assert!(sent < 40 << 20, "{sent}");
}

#[tokio::test]
async fn a_declared_length_is_not_believed_either() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                  content-length: 9999999999\r\n\r\n{}";
    let error = fails(answer).await;
    let refused = matches!(
        error,
        FetchError::Body(_) | FetchError::Document(JwksError::TooLarge)
    );
    assert!(refused, "{error:?}");
}

#[tokio::test]
async fn nobody_listening_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
    drop(listener);
    let error = HttpFetch::new(uri.parse().unwrap())
        .fetch(None)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, FetchError::Request(_)));
}

#[test]
fn reads_max_age() {
    for (value, seconds) in [
        ("max-age=60", Some(60)),
        ("public, Max-Age=60, must-revalidate", Some(60)),
        ("max-age=\"60\"", Some(60)),
        ("s-maxage=5", None),
        ("no-store", None),
        ("max-age=-1", None),
        ("max-age=99999999999999999999", None),
        ("max-age", None),
        ("", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
        assert_eq!(
            max_age(&headers),
            seconds.map(Duration::from_secs),
            "{value}"
        );
    }
}
