//! The key-encryption key, and the signing keys' private halves under it.
//!
//! The one file that links josekit: a private key rests as a compact JWE
//! (RFC 7516), its content key wrapped with A256GCMKW and its content under
//! A256GCM. What is encrypted, and when, is [`crate::signing_keys`]'s business.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwe::enc::A256GCM;
use josekit::jwe::{A256GCMKW, JweContentEncryption, JweContext, JweHeader};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::entropy::Entropy;

mod ring;

pub use ring::KeyRing;

/// A256GCMKW takes 256 bits.
const KEY_LENGTH: usize = 32;
/// 43 characters and a line end; anything longer is another file.
const MAX_FILE_LENGTH: u64 = 64;
/// An Ed25519 PKCS#8 document is 48 bytes, its JWE some 400: room for other
/// key types, none for a row that somebody stuffed.
const MAX_JWE_LENGTH: usize = 8 * 1024;
/// base64url lengths of the 96-bit IV and the 128-bit tag, the only ones that
/// RFC 7518 (4.7, 5.3) allows. OpenSSL would take a tag cut to one byte.
const IV_CHARACTERS: usize = 16;
const TAG_CHARACTERS: usize = 22;

/// The key under which private keys rest. Nothing prints it.
pub struct KeyEncryptionKey {
    key: Zeroizing<[u8; KEY_LENGTH]>,
    /// RFC 7638 thumbprint: names the key in each JWE and in messages. The key
    /// is 256 random bits, so its hash tells nothing (RFC 7638, 7).
    kid: String,
}

/// Why there is no key-encryption key.
#[derive(Debug, Error)]
pub enum KeyEncryptionKeyError {
    /// Not 32 bytes of base64url.
    #[error("the key-encryption key must be 43 characters of base64url without padding (32 bytes)")]
    Malformed,
    /// The file may be read by others.
    #[error(
        "{path}: mode {mode:04o} lets others read the key-encryption key; run chmod 600 on it",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory, a device or a file that is too long to be a key.
    #[error("{path}: not a key-encryption key file", path = .0.display())]
    NotAKeyFile(PathBuf),
    /// The content of the file is not a key.
    #[error("{path}: not 43 characters of base64url without padding (32 bytes)", path = .0.display())]
    MalformedFile(PathBuf),
    /// The file cannot be read or made.
    #[error("{path}: cannot {action} the key-encryption key", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed: `read` or `create`.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a private key could not be encrypted.
#[derive(Debug, Error)]
#[error("cannot encrypt the private key")]
pub struct EncryptError(#[source] josekit::JoseError);

/// Why a private key could not be decrypted.
#[derive(Debug, Error)]
pub enum DecryptError {
    /// It is under another key-encryption key.
    #[error(
        "the private key was encrypted under key-encryption key {found}, not under the configured {expected}"
    )]
    OtherKey {
        /// The configured key's id.
        expected: String,
        /// The id that the JWE names.
        found: String,
    },
    /// Not the JWE that [`KeyEncryptionKey::encrypt`] makes.
    #[error("not a compact JWE with alg A256GCMKW and enc A256GCM: {0}")]
    Format(&'static str),
    /// Changed since it was written, or the file with the right id has the wrong key.
    #[error("the encrypted private key does not authenticate")]
    Authentication(#[source] josekit::JoseError),
}

impl KeyEncryptionKey {
    /// Reads the key from its text form: 32 bytes in base64url without padding.
    pub fn parse(text: &SecretString) -> Result<Self, KeyEncryptionKeyError> {
        Self::parse_text(text.expose_secret().as_bytes()).ok_or(KeyEncryptionKeyError::Malformed)
    }

    /// Makes a new key. It lives nowhere but in the value.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        entropy.fill(&mut *key);
        Self::new(key)
    }

    /// Reads the key from a file, which is made with a new key if it is absent.
    ///
    /// Of several processes that find it absent, one makes it and all read that one.
    pub fn load_or_create(
        path: &Path,
        entropy: &dyn Entropy,
    ) -> Result<Self, KeyEncryptionKeyError> {
        if let Some(key) = Self::load(path)? {
            return Ok(key);
        }
        Self::generate(entropy).write_new(path, entropy)?;
        // Not the key just made: another process may have been first.
        Self::load_existing(path)
    }

    /// Reads a previous key from its file. None: there is no such file, and none is made,
    /// because a new key in its place would decrypt nothing.
    pub fn load_previous(path: &Path) -> Result<Option<Self>, KeyEncryptionKeyError> {
        Self::load(path)
    }

    fn load_existing(path: &Path) -> Result<Self, KeyEncryptionKeyError> {
        Self::load(path)?.ok_or_else(|| KeyEncryptionKeyError::Io {
            path: path.to_owned(),
            action: "read",
            source: io::ErrorKind::NotFound.into(),
        })
    }

    /// The RFC 7638 thumbprint of the key as a JWK.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A private key as a compact JWE.
    pub fn encrypt(&self, private_key: &[u8]) -> Result<String, EncryptError> {
        // josekit's encrypter keeps its own copy of the key and does not wipe it:
        // it lives for this call only.
        let mut encrypter = A256GCMKW
            .encrypter_from_bytes(*self.key)
            .map_err(EncryptError)?;
        encrypter.set_key_id(&self.kid);
        let mut header = JweHeader::new();
        header.set_content_encryption(A256GCM.name());
        strict_context()
            .serialize_compact(private_key, &header, &encrypter)
            .map_err(EncryptError)
    }

    /// The private key in a compact JWE that [`Self::encrypt`] made.
    pub fn decrypt(&self, jwe: &str) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        self.check_form(jwe)?;
        let mut decrypter = A256GCMKW
            .decrypter_from_bytes(*self.key)
            .map_err(DecryptError::Authentication)?;
        decrypter.set_key_id(&self.kid);
        let (private_key, _) = strict_context()
            .deserialize_compact(jwe, &decrypter)
            .map_err(DecryptError::Authentication)?;
        Ok(Zeroizing::new(private_key))
    }

    fn new(key: Zeroizing<[u8; KEY_LENGTH]>) -> Self {
        let k = Zeroizing::new(URL_SAFE_NO_PAD.encode(*key));
        let jwk = Zeroizing::new(format!(r#"{{"k":"{}","kty":"oct"}}"#, *k));
        let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(jwk.as_bytes()));
        Self { key, kid }
    }

    fn parse_text(text: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut *key).ok()?;
        (written == KEY_LENGTH).then(|| Self::new(key))
    }

    /// `None` if there is no such file.
    fn load(path: &Path) -> Result<Option<Self>, KeyEncryptionKeyError> {
        let failed = |source| KeyEncryptionKeyError::Io {
            path: path.to_owned(),
            action: "read",
            source,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Of the open file, not of the path: it cannot be changed in between.
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE_LENGTH {
            return Err(KeyEncryptionKeyError::NotAKeyFile(path.to_owned()));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyEncryptionKeyError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_LENGTH as usize));
        file.take(MAX_FILE_LENGTH)
            .read_to_end(&mut text)
            .map_err(failed)?;
        // Editors and `echo` end a file with a line end.
        Self::parse_text(text.strip_suffix(b"\n").unwrap_or(&text))
            .map(Some)
            .ok_or_else(|| KeyEncryptionKeyError::MalformedFile(path.to_owned()))
    }

    /// Writes the key beside `path`, then links it there unless something is there:
    /// a reader sees no file or a whole one, and the first writer wins.
    fn write_new(&self, path: &Path, entropy: &dyn Entropy) -> Result<(), KeyEncryptionKeyError> {
        let mut suffix = [0; 8];
        entropy.fill(&mut suffix);
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{:016x}", u64::from_be_bytes(suffix)));
        let temporary = PathBuf::from(name);
        let failed = |source| KeyEncryptionKeyError::Io {
            path: path.to_owned(),
            action: "create",
            source,
        };
        make_directory(path).map_err(failed)?;
        let written = self
            .write_file(&temporary)
            .and_then(|()| link_new(&temporary, path));
        let removed = fs::remove_file(&temporary);
        written.and(removed).map_err(failed)
    }

    fn write_file(&self, path: &Path) -> io::Result<()> {
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.key));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        // Every signing key depends on these bytes: they are on the disk before
        // anything is encrypted under them.
        file.sync_all()
    }

    /// Tells a wrong key from damage.
    fn check_form(&self, jwe: &str) -> Result<(), DecryptError> {
        let found = kid_of(jwe)?;
        if found != self.kid {
            return Err(DecryptError::OtherKey {
                expected: self.kid.clone(),
                found,
            });
        }
        Ok(())
    }
}

impl std::fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyEncryptionKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The key-encryption key that a JWE names. Refuses what josekit would let pass.
fn kid_of(jwe: &str) -> Result<String, DecryptError> {
    if jwe.len() > MAX_JWE_LENGTH {
        return Err(DecryptError::Format("too long"));
    }
    let header = jwe.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| DecryptError::Format("header is not base64url"))?;
    let header: Header =
        serde_json::from_slice(&header).map_err(|_| DecryptError::Format("unexpected header"))?;
    if header.alg != "A256GCMKW" || header.enc != "A256GCM" {
        return Err(DecryptError::Format("unexpected alg or enc"));
    }
    if header.iv.len() != IV_CHARACTERS || header.tag.len() != TAG_CHARACTERS {
        return Err(DecryptError::Format("key wrap with a short iv or tag"));
    }
    let parts: Vec<&str> = jwe.split('.').collect();
    if parts.len() != 5 || parts[2].len() != IV_CHARACTERS || parts[4].len() != TAG_CHARACTERS {
        return Err(DecryptError::Format("content with a short iv or tag"));
    }
    Ok(header.kid)
}

/// What a header may hold, and all of it must.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    kid: String,
    iv: String,
    tag: String,
}

/// A context that knows one content encryption and no compression.
fn strict_context() -> JweContext {
    let mut context = JweContext::new();
    for other in [
        "A128CBC-HS256",
        "A192CBC-HS384",
        "A256CBC-HS512",
        "A128GCM",
        "A192GCM",
    ] {
        context.remove_content_encryption(other);
    }
    context.remove_compression("DEF");
    context
}

/// For its owner alone, like what goes into it.
fn make_directory(of: &Path) -> io::Result<()> {
    match of.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory),
        _ => Ok(()),
    }
}

fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => sync_directory(to),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_directory(of: &Path) -> io::Result<()> {
    match of.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests;
