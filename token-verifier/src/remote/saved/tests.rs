use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::ManualClock;
use crate::testing::TestIssuer;

const MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);

struct Disk {
    directory: TempDir,
    clock: ManualClock,
    issuer: TestIssuer,
}

impl Disk {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            clock: ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()),
            issuer: TestIssuer::new("i"),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("jwks")
    }

    fn of(&self, uri: &str) -> SavedKeys {
        let options = RemoteOptions::new(uri)
            .unwrap()
            .max_stale(MAX_STALE)
            .clock(Arc::new(self.clock.clone()))
            .saved_at(self.path());
        SavedKeys::of(&options).unwrap()
    }

    fn saved(&self) -> SavedKeys {
        self.of("http://issuer/jwks")
    }

    /// What a verifier writes now.
    fn text(&self, document: &str) -> Vec<u8> {
        let now = self.clock.now().as_second();
        self.saved().compose(now, document.as_bytes())
    }

    fn write(&self, text: &[u8]) {
        replace(&self.path(), text).unwrap();
    }

    fn write_good(&self) {
        self.write(&self.text(&self.issuer.jwks_json()));
    }

    #[track_caller]
    fn ignores(&self, reason: &str) {
        let error = self.saved().load().map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn reads_what_it_wrote_and_how_old_it_is() {
    let disk = Disk::new();
    assert!(disk.saved().load().unwrap().is_none());
    disk.write_good();
    disk.clock.advance(Duration::from_secs(100));
    let loaded = disk.saved().load().unwrap().unwrap();
    assert!(loaded.set.is_same(&disk.issuer.key_set()));
    assert_eq!(loaded.document, disk.issuer.jwks_json().as_bytes());
    assert_eq!(loaded.age, Duration::from_secs(100));
}

#[test]
fn writes_for_its_owner_alone_and_leaves_nothing_else_behind() {
    let disk = Disk::new();
    disk.write_good();
    disk.write_good();
    let mode = fs::metadata(disk.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(disk.directory.path()).unwrap().count(), 1);
    // A directory in its place cannot be replaced, and what was beside it goes.
    fs::remove_file(disk.path()).unwrap();
    fs::create_dir(disk.path()).unwrap();
    assert!(replace(&disk.path(), b"x").is_err());
    assert_eq!(fs::read_dir(disk.directory.path()).unwrap().count(), 1);
}

#[test]
fn every_changed_byte_is_noticed() {
    let disk = Disk::new();
    let good = disk.text(&disk.issuer.jwks_json());
    for position in 0..good.len() {
        let mut text = good.clone();
        text[position] ^= 1;
        disk.write(&text);
        disk.ignores("damaged");
        disk.write(&good[..position]);
        disk.ignores("damaged");
    }
    disk.write(&vec![b'\n'; MAX_FILE_BYTES + 1]);
    disk.ignores("damaged");
}

#[test]
fn ages_are_bounded_in_both_directions() {
    let disk = Disk::new();
    disk.write_good();
    let written_at = disk.clock.now();
    let leeway = LEEWAY;
    disk.clock.set(written_at - leeway);
    assert_eq!(disk.saved().load().unwrap().unwrap().age, Duration::ZERO);
    disk.clock
        .set(written_at - leeway - SignedDuration::from_secs(1));
    disk.ignores("from the future");
    disk.clock
        .set(written_at + MAX_STALE - Duration::from_secs(1));
    assert!(disk.saved().load().is_ok());
    disk.clock.set(written_at + MAX_STALE);
    disk.ignores("too old");
}

#[test]
fn another_address_is_another_issuer() {
    let disk = Disk::new();
    disk.write_good();
    let error = disk.of("http://other/jwks").load().map(|_| ()).unwrap_err();
    assert!(matches!(error, SavedError::OtherAddress));
}

// TJ-23: a file gets no more credit than an answer.
#[test]
fn a_poisoned_set_is_refused_from_disk_too() {
    let disk = Disk::new();
    let mut private = disk.issuer.jwk();
    private["d"] = "AA".into();
    for document in [
        json!({"keys": []}),
        json!({"keys": [private]}),
        json!({"keys": [disk.issuer.jwk(), disk.issuer.jwk()]}),
    ] {
        disk.write(&disk.text(&document.to_string()));
        disk.ignores("refused");
    }
}

#[test]
fn a_file_that_others_could_have_written_is_ignored() {
    let disk = Disk::new();
    for mode in [0o602, 0o620, 0o666, 0o622] {
        disk.write_good();
        fs::set_permissions(disk.path(), fs::Permissions::from_mode(mode)).unwrap();
        disk.ignores("somebody else");
    }
    disk.write_good();
    let elsewhere = disk.directory.path().join("elsewhere");
    fs::rename(disk.path(), &elsewhere).unwrap();
    symlink(&elsewhere, disk.path()).unwrap();
    disk.ignores("regular");
    fs::remove_file(disk.path()).unwrap();
    fs::create_dir(disk.path()).unwrap();
    disk.ignores("regular");
}
