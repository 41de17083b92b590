//! Key files: made whole or not at all, and read by nobody else.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KeyError, WorkloadKey, generate_pem};

/// An Ed25519 key in PEM is some 120 bytes.
const MAX_FILE_BYTES: u64 = 16 << 10;
const GROUP_AND_OTHERS: u32 = 0o077;

/// Why a key file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("cannot use the key file {path}")]
    File {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could have read the key already.
    #[error("the key file {path} may be read by others (mode {mode:04o}); it must be 0600")]
    OpenToOthers {
        /// The file in question.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Its content is no key of ours.
    #[error("the key file {path} holds no usable key")]
    Key {
        /// The file in question.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
}

pub(super) fn load(path: &Path) -> Result<WorkloadKey, KeyFileError> {
    let failed = |source| KeyFileError::File {
        path: path.to_owned(),
        source,
    };
    // Before opening too, since opening a pipe waits for its writer.
    check_regular(&fs::metadata(path).map_err(failed)?).map_err(failed)?;
    let file = File::open(path).map_err(failed)?;
    // Of the open file, not of the path: nothing can be swapped in between.
    let metadata = file.metadata().map_err(failed)?;
    check_regular(&metadata).map_err(failed)?;
    let mode = metadata.mode() & 0o7777;
    if mode & GROUP_AND_OTHERS != 0 {
        let path = path.to_owned();
        return Err(KeyFileError::OpenToOthers { path, mode });
    }
    // Room for everything, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(1 << 10));
    let length = file
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if length as u64 > MAX_FILE_BYTES {
        let kind = io::ErrorKind::FileTooLarge;
        return Err(failed(io::Error::new(kind, "is too long for a key")));
    }
    WorkloadKey::from_pem(&text).map_err(|source| KeyFileError::Key {
        path: path.to_owned(),
        source,
    })
}

fn check_regular(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let kind = io::ErrorKind::InvalidInput;
    Err(io::Error::new(kind, "is not a regular file"))
}

pub(super) fn load_or_create(path: &Path) -> Result<WorkloadKey, KeyFileError> {
    match load(path) {
        Err(KeyFileError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path)?;
            load(path)
        }
        loaded => loaded,
    }
}

/// Written beside, then linked into place: a crash leaves no half a key, and of two
/// programs that start at once the second takes the first one's key.
fn create(path: &Path) -> Result<(), KeyFileError> {
    let pem = generate_pem().map_err(|source| KeyFileError::Key {
        path: path.to_owned(),
        source,
    })?;
    write_new(path, pem.as_bytes()).map_err(|source| KeyFileError::File {
        path: path.to_owned(),
        source,
    })
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // Unlike a rename, a link never replaces what is there.
    let linked = written.and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // The key is in place or not, whatever becomes of this name.
    if let Err(error) = fs::remove_file(&beside) {
        let path = Path::new(&beside).display();
        tracing::warn!(%path, "a temporary key file stays behind: {error}");
    }
    linked?;
    // The content is on the disk already; now its name is too.
    File::open(directory)?.sync_all()
}
