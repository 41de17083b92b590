//! The key-encryption key of today and those before it.

use zeroize::Zeroizing;

use super::{DecryptError, EncryptError, KeyEncryptionKey, kid_of};

/// Encrypts under one key, and decrypts what is under that or a previous one.
#[derive(Debug)]
pub struct KeyRing {
    current: KeyEncryptionKey,
    previous: Vec<KeyEncryptionKey>,
}

impl KeyRing {
    /// `previous` are for what was encrypted before `current` came.
    pub fn new(current: KeyEncryptionKey, previous: Vec<KeyEncryptionKey>) -> Self {
        Self { current, previous }
    }

    /// The key that everything new is encrypted under.
    pub fn current(&self) -> &KeyEncryptionKey {
        &self.current
    }

    /// A private key as a compact JWE under the current key.
    pub fn encrypt(&self, private_key: &[u8]) -> Result<String, EncryptError> {
        self.current.encrypt(private_key)
    }

    /// The private key in a JWE under any of the keys.
    pub fn decrypt(&self, jwe: &str) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let named = kid_of(jwe)?;
        // Under none of them: the current one's refusal names both.
        let previous = self.previous.iter().find(|key| key.kid() == named);
        previous.unwrap_or(&self.current).decrypt(jwe)
    }

    /// Whether this JWE names the current key.
    pub fn is_current(&self, jwe: &str) -> Result<bool, DecryptError> {
        Ok(kid_of(jwe)? == self.current.kid())
    }
}

impl From<KeyEncryptionKey> for KeyRing {
    fn from(current: KeyEncryptionKey) -> Self {
        Self::new(current, Vec::new())
    }
}
