//! Secrets: never shown, never part of a message.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::Section;

/// Keys and passwords are short; this is the size of a wrong path.
const MAX_SECRET_FILE_BYTES: u64 = 64 << 10;

pub(super) fn read(section: &mut Section<'_>, key: &str) -> Option<SecretString> {
    let file_key = format!("{key}_file");
    let both = section.has(key) && section.has(&file_key);
    if both {
        section.take(key);
        section.take(&file_key);
        section.problem(
            key,
            format!("set either this or {}, not both", section.name(&file_key)),
        );
        return None;
    }
    section.ask(&file_key);
    let secret = match section.take(key) {
        Some((value, typed)) => inline(section, key, value, typed)?,
        None => from_file(section, &file_key)?,
    };
    section.show_redacted(key);
    Some(secret)
}

fn inline(
    section: &mut Section<'_>,
    key: &str,
    value: toml::Value,
    typed: Option<String>,
) -> Option<SecretString> {
    let secret = match (value, typed) {
        (toml::Value::String(secret), _) | (_, Some(secret)) => secret,
        _ => {
            section.problem(key, "must be a string");
            return None;
        }
    };
    if secret.is_empty() {
        section.problem(key, "is empty");
        return None;
    }
    Some(secret.into())
}

fn from_file(section: &mut Section<'_>, file_key: &str) -> Option<SecretString> {
    let path = section.path(file_key)?;
    match read_secret_file(&path) {
        Ok(secret) => Some(secret),
        Err(error) => {
            section.problem(file_key, format!("cannot read {}: {error}", path.display()));
            None
        }
    }
}

/// One trailing line end is the editor's, not the secret's.
fn read_secret_file(path: &Path) -> io::Result<SecretString> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)?
        .take(MAX_SECRET_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SECRET_FILE_BYTES {
        let message = format!("larger than {MAX_SECRET_FILE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let secret = line.strip_suffix('\r').unwrap_or(line);
    if secret.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
    }
    Ok(secret.into())
}
