//! The last good set on disk, for a start while the issuer is away.
//!
//! The file is ours alone (0600), is replaced whole, and says when its set was confirmed,
//! by which address, and what it should hash to. The hash finds damage, not forgers:
//! against those stand the file's owner and mode. Everything here runs on blocking
//! threads, and nothing waits for it but the driver's first fetch, and that for a second.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::RemoteOptions;
use crate::clock::Clock;
use crate::key_set::{JwksError, KeySet, MAX_JWKS_BYTES};
use crate::keys::{Current, Shared};
use crate::verifier::LEEWAY;

const MAGIC: &str = "latchkey saved keys 1";

/// The head's lines are an address, a number and a hash.
const MAX_FILE_BYTES: usize = MAX_JWKS_BYTES + 4 * 1024;

/// A disk that takes longer is treated as one without the file.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a file says that its set was confirmed again, at most. A tenth of
/// `max_stale` if that is less.
const CONFIRMATIONS: Duration = Duration::from_secs(60 * 60);

/// How soon the same set is tried again after a failure.
const RETRY: Duration = Duration::from_secs(60);

/// Where the set of one address is saved.
#[derive(Clone)]
pub(super) struct SavedKeys {
    path: PathBuf,
    uri: String,
    max_stale: Duration,
    clock: Arc<dyn Clock>,
}

/// Why a saved set is not used.
#[derive(Debug, thiserror::Error)]
enum SavedError {
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
    #[error("the file is not a regular one")]
    NotAFile,
    #[error("the file could have been written by somebody else")]
    NotOurs,
    #[error("the file is damaged")]
    Damaged,
    #[error("the keys are another address's")]
    OtherAddress,
    #[error("the keys are too old")]
    TooOld,
    #[error("the keys are from the future")]
    FromTheFuture,
    #[error("the keys are refused")]
    Document(#[from] JwksError),
    #[error("the disk does not answer")]
    Slow,
}

struct Loaded {
    set: KeySet,
    document: Bytes,
    age: Duration,
}

impl SavedKeys {
    pub(super) fn of(options: &RemoteOptions) -> Option<Self> {
        Some(Self {
            path: options.saved_at.clone()?,
            uri: options.uri.to_string(),
            max_stale: options.max_stale,
            clock: Arc::clone(&options.clock),
        })
    }

    /// Begins with what was saved, if it is any good.
    pub(super) async fn restore(&self, shared: &Shared) {
        let this = self.clone();
        let path = self.path.display();
        let loaded = match timeout(PATIENCE, spawn_blocking(move || this.load())).await {
            Ok(Ok(loaded)) => loaded,
            // A reader that panicked has said so.
            Ok(Err(_)) => return,
            Err(_) => Err(SavedError::Slow),
        };
        match loaded {
            Ok(Some(Loaded { set, document, age })) => {
                if shared.restore(set, document, age) {
                    tracing::info!(%path, age_s = age.as_secs(), "begins with the saved keys");
                }
            }
            Ok(None) => {}
            Err(error) => {
                let cause = std::error::Error::source(&error);
                tracing::warn!(%path, cause, "saved keys ignored: {error}");
            }
        }
    }

    /// Saves each new set, and from time to time that it still is the current one.
    pub(super) async fn follow(&self, shared: &Shared) {
        let mut last: Option<Attempt> = None;
        loop {
            shared.confirmed.notified().await;
            let Some((current, document)) = current(shared) else {
                continue;
            };
            if last
                .as_ref()
                .is_some_and(|last| last.is_enough(&document, &current))
            {
                continue;
            }
            let outcome = self.save(document.clone(), &current).await;
            let had_failed = last.is_some_and(|last| last.has_failed);
            let has_failed = self.report(&outcome, had_failed);
            let interval = if has_failed {
                RETRY
            } else {
                CONFIRMATIONS.min(self.max_stale / 10)
            };
            last = Some(Attempt {
                document,
                until: current.confirmed_at + interval,
                has_failed,
            });
        }
    }

    async fn save(&self, document: Bytes, current: &Current) -> io::Result<()> {
        let ago = SignedDuration::try_from(current.confirmed_at.elapsed()).unwrap_or_default();
        let confirmed_at = self.clock.now().as_second() - ago.as_secs();
        let text = self.compose(confirmed_at, &document);
        let path = self.path.clone();
        // A write that panicked has said so; what is on disk is whole all the same.
        spawn_blocking(move || replace(&path, &text))
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }

    /// Says so when saving begins to fail, and when it works again.
    fn report(&self, outcome: &io::Result<()>, had_failed: bool) -> bool {
        let path = self.path.display();
        match outcome {
            Ok(()) if had_failed => tracing::info!(%path, "keys saved again"),
            Ok(()) => tracing::debug!(%path, "keys saved"),
            Err(error) if had_failed => tracing::debug!(%path, "keys not saved: {error}"),
            Err(error) => tracing::warn!(%path, "keys not saved: {error}"),
        }
        outcome.is_err()
    }

    fn compose(&self, confirmed_at: i64, document: &[u8]) -> Vec<u8> {
        let signed = [
            format!("{}\n{confirmed_at}\n", self.uri).as_bytes(),
            document,
        ]
        .concat();
        let head = format!("{MAGIC}\n{}\n", checksum(&signed));
        [head.as_bytes(), &signed].concat()
    }

    /// `None` if there is no file, which is how every installation begins.
    fn load(&self) -> Result<Option<Loaded>, SavedError> {
        let Some(text) = read_ours(&self.path)? else {
            return Ok(None);
        };
        let (magic, rest) = line(&text)?;
        let (sum, hashed) = line(rest)?;
        if magic != MAGIC || sum != checksum(hashed) {
            return Err(SavedError::Damaged);
        }
        let (uri, rest) = line(hashed)?;
        let (confirmed_at, document) = line(rest)?;
        if uri != self.uri {
            return Err(SavedError::OtherAddress);
        }
        let age = self.age(confirmed_at)?;
        let set = KeySet::from_json(document)?;
        let document = Bytes::copy_from_slice(document);
        Ok(Some(Loaded { set, document, age }))
    }

    fn age(&self, confirmed_at: &str) -> Result<Duration, SavedError> {
        let confirmed_at = confirmed_at
            .parse()
            .ok()
            .and_then(|second| Timestamp::from_second(second).ok())
            .ok_or(SavedError::Damaged)?;
        let age = self.clock.now().duration_since(confirmed_at);
        if age < -LEEWAY {
            return Err(SavedError::FromTheFuture);
        }
        let age = Duration::try_from(age).unwrap_or_default();
        if age >= self.max_stale {
            return Err(SavedError::TooOld);
        }
        Ok(age)
    }
}

/// The last thing that was written, or could not be.
struct Attempt {
    document: Bytes,
    /// Confirmations of the same document before this are not worth another write.
    until: Instant,
    has_failed: bool,
}

impl Attempt {
    fn is_enough(&self, document: &Bytes, current: &Current) -> bool {
        self.document == *document && current.confirmed_at < self.until
    }
}

/// The current set, if it is one to save.
fn current(shared: &Shared) -> Option<(Arc<Current>, Bytes)> {
    let current = shared.current()?;
    let document = current.document.clone()?;
    Some((current, document))
}

fn checksum(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

/// The first line, and what follows it.
fn line(text: &[u8]) -> Result<(&str, &[u8]), SavedError> {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = text.split_at(end.ok_or(SavedError::Damaged)?);
    let line = std::str::from_utf8(line).map_err(|_| SavedError::Damaged)?;
    Ok((line, &rest[1..]))
}

/// The file's content, if nobody else can have put it there.
fn read_ours(path: &Path) -> Result<Option<Vec<u8>>, SavedError> {
    // Looked at before it is opened: opening a pipe would wait for its other end.
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(SavedError::NotAFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let file = File::open(path)?;
    // And at what was opened, which may be another by now.
    let opened = file.metadata()?;
    if !opened.is_file() {
        return Err(SavedError::NotAFile);
    }
    if !is_ours(&opened) {
        return Err(SavedError::NotOurs);
    }
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut text)?;
    if text.len() > MAX_FILE_BYTES {
        return Err(SavedError::Damaged);
    }
    Ok(Some(text))
}

#[cfg(unix)]
fn is_ours(file: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    const WRITABLE_BY_OTHERS: u32 = 0o022;
    // Linux tells who we are in a file's terms; where nothing does, the mode must do.
    let ours = fs::metadata("/proc/self").map(|process| process.uid());
    let is_owned = ours.map_or(true, |ours| [ours, 0].contains(&file.uid()));
    is_owned && file.mode() & WRITABLE_BY_OTHERS == 0
}

#[cfg(not(unix))]
fn is_ours(_: &fs::Metadata) -> bool {
    true
}

/// Puts a new file in the place of the old one, so that a reader finds one or the other.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", rand::rng().random::<u64>()));
    let beside = path.with_file_name(name);
    let written = write_new(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // It may not even exist.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    // The name must not be on disk before what it names.
    file.sync_all()
}

#[cfg(test)]
mod tests;
