//! Reads tokens from standard input, one a line, and prints `ok` or the reason why
//! not, one line each. For verification suites that know nothing of Rust.
//!
//! ```text
//! verify-stdin --jwks FILE_OR_URL --issuer ISSUER --audience AUDIENCE [--now UNIX_SECONDS]
//! ```

use std::io::{self, BufRead, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use token_verifier::{
    Clock, Expectations, KeySet, Keys, ManualClock, RemoteOptions, SystemClock, TokenVerifier,
};

const USAGE: &str = "usage: verify-stdin --jwks FILE_OR_URL --issuer ISSUER --audience AUDIENCE [--now UNIX_SECONDS]";

/// Far beyond any token, so that what is too large for the verifier still reaches it.
const MAX_LINE_BYTES: u64 = 64 * 1024;

type Error = Box<dyn std::error::Error>;

struct Arguments {
    jwks: String,
    expectations: Expectations,
    clock: Arc<dyn Clock>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("verify-stdin: {error}");
            ExitCode::from(64)
        }
    }
}

async fn run() -> Result<(), Error> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let keys = keys(&arguments.jwks).await?;
    let verifier = TokenVerifier::new(arguments.expectations, keys, arguments.clock);
    tokio::task::spawn_blocking(move || answer_all(&verifier))
        .await?
        .map_err(Error::from)
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Error> {
        let (mut jwks, mut issuer, mut audience) = (None, None, None);
        let mut clock: Arc<dyn Clock> = Arc::new(SystemClock);
        while let Some(name) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            match name.as_str() {
                "--jwks" => jwks = Some(value),
                "--issuer" => issuer = Some(value),
                "--audience" => audience = Some(value),
                "--now" => {
                    let now = jiff::Timestamp::from_second(value.parse()?)?;
                    clock = Arc::new(ManualClock::at(now));
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(Self {
            jwks: jwks.ok_or(USAGE)?,
            expectations: Expectations {
                issuer: issuer.ok_or(USAGE)?,
                audience: audience.ok_or(USAGE)?,
            },
            clock,
        })
    }
}

/// A file is read once. An address is fetched before the first line is answered, and
/// again when it should be; while it fails, tokens are refused.
async fn keys(jwks: &str) -> Result<Keys, Error> {
    if !jwks.contains("://") {
        return Ok(Keys::fixed(KeySet::from_json(&std::fs::read(jwks)?)?));
    }
    let (fetched, mut first_fetch) = tokio::sync::mpsc::unbounded_channel();
    let options = RemoteOptions::new(jwks)?.on_fetch(move |outcome| {
        if let Err(error) = outcome {
            eprintln!("verify-stdin: {error}");
        }
        // Nobody listens after the first.
        let _ = fetched.send(());
    });
    let (keys, driver) = Keys::remote(options);
    tokio::spawn(driver);
    first_fetch.recv().await;
    Ok(keys)
}

fn answer_all(verifier: &TokenVerifier) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    while let Some(line) = read_line(&mut input)? {
        writeln!(output, "{}", answer(verifier, &line))?;
        // Whoever feeds us may wait for the answer before the next line.
        output.flush()?;
    }
    Ok(())
}

fn answer(verifier: &TokenVerifier, line: &[u8]) -> &'static str {
    let Ok(token) = std::str::from_utf8(line) else {
        return "malformed";
    };
    match verifier.verify(token) {
        Ok(_) => "ok",
        Err(error) => error.reason(),
    }
}

/// The next line without its end, cut at the bound; the rest of a longer one is skipped.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = input
        .by_ref()
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    } else {
        input.skip_until(b'\n')?;
    }
    Ok(Some(line))
}
