//! The few requests that set a measurement up. One connection each.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// An answer with a status of 2xx.
pub(crate) struct Answer {
    head: String,
    body: String,
}

impl Answer {
    /// `name=value` of the first cookie that it sets.
    pub(crate) fn cookie(&self) -> anyhow::Result<String> {
        let line = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .context("no cookie was set")?;
        Ok(line.split(';').next().unwrap_or_default().to_owned())
    }

    /// The body as text.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.body)?)
    }
}

/// Sends one request to a port on loopback, as one of the gateway's own pages would.
pub(crate) async fn request(
    port: u16,
    method: &str,
    path: &str,
    cookie: Option<&str>,
    body: Option<&str>,
) -> anyhow::Result<Answer> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\
         Origin: http://localhost:{port}\r\nConnection: close\r\n"
    );
    if let Some(cookie) = cookie {
        head += &format!("Cookie: {cookie}\r\n");
    }
    if let Some(body) = body {
        head += &format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
    }
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream
        .write_all(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without a head")?;
    ensure!(
        head.starts_with("HTTP/1.1 2"),
        "{method} {path} answered {answer}"
    );
    Ok(Answer {
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// Waits until a GET answers 2xx.
pub(crate) async fn wait_for(port: u16, path: &str) -> anyhow::Result<()> {
    let poll = async {
        while request(port, "GET", path, None, None).await.is_err() {
            sleep(POLL).await;
        }
    };
    timeout(START_LIMIT, poll)
        .await
        .with_context(|| format!("nothing answers http://localhost:{port}{path}"))
}
