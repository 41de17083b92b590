//! The database's file and directories, guarded before SQLite touches them.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const OWNER_ONLY_FILE: u32 = 0o600;
const OWNER_ONLY_DIRECTORY: u32 = 0o700;
const GROUP_AND_OTHERS: u32 = 0o077;

/// Makes missing parent directories (0700) and the file itself (0600); takes rights
/// of group and others away from a file that is there. SQLite gives its `-wal` and
/// `-shm` files the mode of the database.
pub(super) fn prepare(path: &Path) -> io::Result<()> {
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(OWNER_ONLY_DIRECTORY)
            .create(parent)?;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY_FILE)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => restrict(path),
        Err(error) => Err(error),
    }
}

fn restrict(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    if metadata.permissions().mode() & GROUP_AND_OTHERS == 0 {
        return Ok(());
    }
    tracing::warn!(
        path = %path.display(),
        "database file was open to others; now only its owner may read it"
    );
    fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY_FILE))
}
