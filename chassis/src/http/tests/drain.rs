//! Stopping without a failed request.

use std::time::Duration;

use super::*;
use tokio::time::Instant;

#[tokio::test]
async fn a_request_in_flight_is_finished_and_told_goodbye() {
    let server = start(Limits::default()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    server.waiting.notified().await;
    server.shutdown.cancel();
    server.go_on.add_permits(1);
    let answer = read_to_end(&mut stream).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("GET /wait 0"), "{answer}");
    server.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_http2_request_in_flight_is_finished() {
    let server = start(Limits::default()).await;
    let (mut sender, connection) = h2(&server).await;
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://x/wait")
        .body(Full::default())
        .unwrap();
    let answer = tokio::spawn(sender.send_request(request));
    server.waiting.notified().await;
    server.shutdown.cancel();
    server.go_on.add_permits(1);
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "GET /wait 0"
    );
    connection.await.unwrap().unwrap();
    server.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_crosses_with_the_stop_is_served() {
    let server = start(Limits::default()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_response(&mut stream).await;
    // The connection is idle now; the program stops; the client does not know yet.
    server.shutdown.cancel();
    stream
        .write_all(b"GET /2 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(
        answer.contains("connection: close") && answer.ends_with("GET /2 0"),
        "{answer}"
    );
    server.server.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_does_not_hold_up_the_stop() {
    let server = start(Limits::default()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_response(&mut stream).await;
    let started = Instant::now();
    server.shutdown.cancel();
    server.server.await.unwrap().unwrap();
    assert!(
        started.elapsed() <= Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_without_end_is_cut_off_after_the_drain() {
    let server = start(Limits::default()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    server.waiting.notified().await;
    let started = Instant::now();
    server.shutdown.cancel();
    let error = server.server.await.unwrap().unwrap_err();
    assert!(
        matches!(error, ServeError::Drain { connections: 1, .. }),
        "{error:?}"
    );
    assert!(
        started.elapsed() >= Limits::default().drain,
        "{:?}",
        started.elapsed()
    );
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn nothing_new_is_taken_after_the_stop() {
    let server = start(Limits::default()).await;
    server.shutdown.cancel();
    server.server.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
