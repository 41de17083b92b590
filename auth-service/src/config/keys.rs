//! `[keys]`: the life of a signing key. And what private keys rest under.

use std::path::PathBuf;
use std::time::Duration;

use chassis::settings::Section;

use super::KeyEncryptionKeySource;
use crate::key_encryption::KeyEncryptionKey;
use crate::signing_keys::rotation::{DEFAULT_RETIRE_AFTER, DEFAULT_ROTATE_EVERY, Schedule};

/// A verifier may have fetched just before a key was published, and keep that copy for
/// one max-age; the other is for slow fetches and clocks.
const PUBLISH_MAX_AGES: u32 = 2;
/// Verifiers allow five seconds for clocks; for the rest keys sign that cannot be read
/// again: longer than one slow read takes.
const RETIRE_MARGIN: Duration = Duration::from_secs(30);
/// How soon what another instance did to the keys is noticed. One small read.
const DEFAULT_REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Well within the retire margin: keys that were not read for longer sign nothing.
const REFRESH_EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(2);
/// An instant further off may not exist.
const MAX_ROTATE_EVERY: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longer would only fill the published document.
const MAX_RETIRE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The life of a signing key, and how closely it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySettings {
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long a key is published before it signs; twice the JWKS max-age if unset, and
    /// never less.
    pub publish_before: Option<Duration>,
    /// How long a key stays published after it stopped signing.
    pub retire_after: Duration,
    /// How often the stored keys are read.
    pub refresh_every: Duration,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self {
            rotate_every: DEFAULT_ROTATE_EVERY,
            publish_before: None,
            retire_after: DEFAULT_RETIRE_AFTER,
            refresh_every: DEFAULT_REFRESH_EVERY,
        }
    }
}

impl KeySettings {
    /// The spans that follow from the settings.
    pub fn schedule(&self, jwks_max_age: Duration) -> Schedule {
        let least = jwks_max_age * PUBLISH_MAX_AGES;
        Schedule {
            rotate_every: self.rotate_every,
            publish_before: self.publish_before.unwrap_or(least).max(least),
            retire_after: self.retire_after,
        }
    }

    pub(super) fn read(
        section: &mut Section<'_>,
        jwks_max_age: Duration,
        access_token_ttl: Duration,
    ) -> Self {
        let defaults = Self::default();
        let least = jwks_max_age * PUBLISH_MAX_AGES;
        let settings = Self {
            rotate_every: section.duration("rotate_every", defaults.rotate_every),
            publish_before: Some(section.duration("publish_before", least)),
            retire_after: section.duration("retire_after", defaults.retire_after),
            refresh_every: section.duration("refresh_every", defaults.refresh_every),
        };
        settings.check(section, least, access_token_ttl + RETIRE_MARGIN);
        settings
    }

    fn check(&self, section: &mut Section<'_>, publish: Duration, retire: Duration) {
        if self.publish_before.is_some_and(|it| it < publish) {
            section.problem("publish_before", "must be at least twice jwks_max_age");
        }
        if self.rotate_every > MAX_ROTATE_EVERY {
            section.problem("rotate_every", "must be at most 365d");
        }
        // Otherwise the next key would be due before this one signs.
        let shortest = self.publish_before.unwrap_or(publish).saturating_mul(2);
        if self.rotate_every < shortest.max(self.retire_after) {
            section.problem(
                "rotate_every",
                "must be at least twice publish_before, and retire_after",
            );
        }
        if !(retire..=MAX_RETIRE_AFTER).contains(&self.retire_after) {
            section.problem(
                "retire_after",
                "must be at least 30s longer than access_token_ttl, and at most 1d",
            );
        }
        if !REFRESH_EVERY.contains(&self.refresh_every) {
            section.problem("refresh_every", "must be 10ms to 2s");
        }
    }
}

pub(super) fn read_key_encryption_key(section: &mut Section<'_>) -> Option<KeyEncryptionKeySource> {
    const VALUE: &str = "key_encryption_key";
    const FILE: &str = "key_encryption_key_file";
    if section.has(VALUE) {
        // Reports it if the file is given, too.
        let secret = section.secret(VALUE)?;
        if let Err(error) = KeyEncryptionKey::parse(&secret) {
            section.problem(VALUE, error);
        }
        return Some(KeyEncryptionKeySource::Value(secret));
    }
    if !section.has(FILE) {
        return section
            .required::<PathBuf>(FILE)
            .map(KeyEncryptionKeySource::File);
    }
    section.path(FILE).map(KeyEncryptionKeySource::File)
}

pub(super) fn read_previous_keys(section: &mut Section<'_>) -> Vec<PathBuf> {
    const FILES: &str = "previous_key_encryption_key_files";
    let files: Vec<PathBuf> = section.value(FILES, Vec::new());
    if files.iter().any(|file| file.as_os_str().is_empty()) {
        section.problem(FILES, "one of them is empty");
    }
    files
}
