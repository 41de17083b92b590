//! Clients that take their time. The clock is paused and jumps when all is idle.

use std::time::Duration;

use super::*;
use tokio::time::Instant;

async fn start_briskly() -> Running {
    start(Limits {
        header_read_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        write_timeout: Duration::from_secs(30),
        ..Limits::default()
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_cut_off() {
    let server = start_briskly().await;
    let started = Instant::now();
    assert_eq!(server.exchange("GET / HTTP/1.1\r\nhost: x\r\n").await, "");
    assert!(
        started.elapsed() >= Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn silence_is_cut_off() {
    for bytes in ["", "PRI * HT"] {
        let server = start_briskly().await;
        let started = Instant::now();
        assert_eq!(server.exchange(bytes).await, "");
        assert!(
            started.elapsed() >= Duration::from_secs(60),
            "{:?}",
            started.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_is_closed() {
    let server = start(Limits {
        idle_timeout: Duration::from_secs(60),
        keep_alive: Duration::from_secs(3600),
        ..Limits::default()
    })
    .await;
    let (_sender, connection) = h2(&server).await;
    let started = Instant::now();
    connection.await.unwrap();
    assert!(
        started.elapsed() >= Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_request_is_not_idleness() {
    let server = start_briskly().await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    server.waiting.notified().await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    server.go_on.add_permits(1);
    assert!(read_to_end(&mut stream).await.ends_with("GET /wait 0"));
}

#[tokio::test(start_paused = true)]
async fn a_writer_without_a_reader_gives_up() {
    // Nobody reads the far end; the pipe holds 8 bytes.
    let (near, _far) = tokio::io::duplex(8);
    let mut stream = write_timeout::WriteTimeout::new(near, Duration::from_secs(30));
    let started = Instant::now();
    let error = stream.write_all(&[0; 64]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_reads_is_served() {
    let (near, mut far) = tokio::io::duplex(8);
    let mut stream = write_timeout::WriteTimeout::new(near, Duration::from_secs(30));
    let reader = tokio::spawn(async move {
        let mut buffer = [0; 8];
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            far.read_exact(&mut buffer).await.unwrap();
        }
    });
    stream.write_all(&[0; 64]).await.unwrap();
    reader.await.unwrap();
}
