//! The layout of a data directory.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The name under which the auth service of the embedded default knows this
/// command, so that `latchkey token` may exchange.
pub(crate) const COMMAND_WORKLOAD: &str = "latchkey";

/// The gateway's name at the auth service.
pub(crate) const GATEWAY_WORKLOAD: &str = "gateway";

#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Makes the directory if it is not there, for its owner alone: it holds keys.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let directory = Self(path.to_path_buf());
        // Verifiers write into theirs, and make none.
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory.jwks());
        made.with_context(|| format!("cannot make the data directory {}", path.display()))?;
        Ok(directory)
    }

    /// The directory of a `latchkey` that is running.
    pub(crate) fn existing(path: &Path) -> anyhow::Result<Self> {
        let found = fs::metadata(path).and_then(|metadata| {
            if metadata.is_dir() {
                Ok(())
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        });
        found.with_context(|| format!("no data directory at {}", path.display()))?;
        Ok(Self(path.to_path_buf()))
    }

    pub(crate) fn database(&self, service: &str) -> PathBuf {
        self.0.join(service).join(format!("{service}.db"))
    }

    pub(crate) fn key_encryption_key(&self) -> PathBuf {
        self.0.join("auth").join("key-encryption-key")
    }

    pub(crate) fn workload_key(&self, workload: &str) -> PathBuf {
        self.0.join("workloads").join(format!("{workload}.pem"))
    }

    /// The last good keys of a service's verifier.
    pub(crate) fn saved_jwks(&self, service: &str) -> PathBuf {
        self.jwks().join(format!("{service}.json"))
    }

    fn jwks(&self) -> PathBuf {
        self.0.join("jwks")
    }

    pub(crate) fn addresses(&self) -> PathBuf {
        self.0.join("addresses.json")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn opens_for_its_owner_alone_with_room_for_saved_keys() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        for _ in 0..2 {
            let data_dir = DataDir::open(&path).unwrap();
            fs::write(data_dir.saved_jwks("cart-service"), "{}").unwrap();
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
