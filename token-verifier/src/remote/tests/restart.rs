//! What a process leaves on disk for the next one. Time is paused, and does not go on
//! while a blocking thread is at work: whoever sleeps finds the file written.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::task::AbortHandle;

use super::*;
use crate::ManualClock;

const HOUR: Duration = Duration::from_secs(60 * 60);

struct Disk {
    directory: TempDir,
    clock: ManualClock,
}

/// One process.
struct Process {
    keys: Keys,
    issuer: Issuer,
    driver: AbortHandle,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Disk {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            clock: ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("jwks")
    }

    async fn start(&self, answer: Answer) -> Process {
        let options = options()
            .saved_at(self.path())
            .clock(Arc::new(self.clock.clone()));
        let shared = Arc::new(Shared::lasting(options.lifetime()));
        let issuer = Issuer {
            answer: Arc::new(Mutex::new(answer)),
            asked: Arc::default(),
        };
        let driver = drive_with(options, Arc::clone(&shared), issuer.clone());
        let driver = tokio::spawn(driver).abort_handle();
        pass(Duration::from_millis(1)).await;
        Process {
            keys: Keys::sharing(shared),
            issuer,
            driver,
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        pass(time).await;
    }

    fn holds(&self, signer: &TestIssuer) -> bool {
        fs::read_to_string(self.path()).is_ok_and(|text| text.contains(signer.kid()))
    }

    /// Which file it is: each write makes another.
    fn file(&self) -> u64 {
        fs::metadata(self.path()).unwrap().ino()
    }
}

// TJ-22.
#[tokio::test(start_paused = true)]
async fn begins_with_the_saved_set_while_the_issuer_is_away() {
    let (disk, signer) = (Disk::new(), TestIssuer::new("i"));
    drop(disk.start(keys_of(&signer)).await);
    for answer in [Silence, Status(500), document("garbage")] {
        disk.pass(HOUR).await;
        let process = disk.start(answer).await;
        assert!(process.keys.is_ready());
        finds(&process.keys, &signer);
        assert!(process.issuer.count() > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn restarts_do_not_make_a_set_younger() {
    let (disk, signer) = (Disk::new(), TestIssuer::new("i"));
    drop(disk.start(keys_of(&signer)).await);
    for _ in 0..23 {
        disk.pass(HOUR).await;
        assert!(disk.start(Silence).await.keys.is_ready());
    }
    let last = disk.start(Silence).await;
    disk.pass(HOUR).await;
    assert!(!last.keys.is_ready());
    drop(last);
    assert!(!disk.start(Silence).await.keys.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_new_set_is_saved_at_once_and_a_confirmed_one_now_and_then() {
    let disk = Disk::new();
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let process = disk.start(keys_of(&old)).await;
    let first = disk.file();
    process.issuer.says(Unchanged);
    for _ in 0..11 {
        disk.pass(HOUR / 12).await;
        assert_eq!(disk.file(), first);
    }
    assert!(process.issuer.count() > 5);
    disk.pass(HOUR / 4).await;
    assert_ne!(disk.file(), first);
    process.issuer.says(keys_of(&new));
    assert!(process.keys.find(new.kid()).is_err());
    disk.pass(INTERVAL * 2).await;
    assert!(disk.holds(&new) && !disk.holds(&old));
}

#[tokio::test(start_paused = true)]
async fn what_the_feed_announces_is_saved_too() {
    let disk = Disk::new();
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let process = disk.start(keys_of(&old)).await;
    process.keys.install(new.jwks_json().as_bytes()).unwrap();
    disk.pass(Duration::from_secs(1)).await;
    assert!(disk.holds(&new) && !disk.holds(&old));
    drop(process);
    finds(&disk.start(Silence).await.keys, &new);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_saved_set_is_ignored_and_replaced() {
    let (disk, signer) = (Disk::new(), TestIssuer::new("i"));
    for text in ["", "garbage", &signer.jwks_json()] {
        fs::write(disk.path(), text).unwrap();
        let process = disk.start(Silence).await;
        assert!(!process.keys.is_ready());
        drop(process);
        drop(disk.start(keys_of(&signer)).await);
        assert!(disk.start(Silence).await.keys.is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_stops_nobody() {
    let (disk, signer) = (Disk::new(), TestIssuer::new("i"));
    fs::create_dir(disk.path()).unwrap();
    let process = disk.start(keys_of(&signer)).await;
    finds(&process.keys, &signer);
    // And is tried again.
    fs::remove_dir(disk.path()).unwrap();
    disk.pass(HOUR).await;
    assert!(disk.holds(&signer));
}
