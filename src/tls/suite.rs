//! The three cipher suites of TLS 1.3, as the record layer needs them: an AEAD and a key schedule.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroize;

/// What protects the records of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Suite {
    /// `TLS_AES_128_GCM_SHA256`: every conforming peer has it, and its keys fit one cache line.
    Aes128Gcm,
    /// `TLS_AES_256_GCM_SHA384`.
    Aes256Gcm,
    /// `TLS_CHACHA20_POLY1305_SHA256`.
    Chacha20Poly1305,
}

impl Suite {
    /// All of them, as we prefer them.
    pub const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::Chacha20Poly1305];

    /// Bytes of a key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::Chacha20Poly1305 => 32,
        }
    }

    /// Bytes of a traffic secret: those of the suite's hash.
    #[must_use]
    pub const fn secret_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Chacha20Poly1305 => 32,
            Self::Aes256Gcm => 48,
        }
    }

    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::Chacha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    fn hash(self) -> hkdf::Algorithm {
        match self {
            Self::Aes128Gcm | Self::Chacha20Poly1305 => hkdf::HKDF_SHA256,
            Self::Aes256Gcm => hkdf::HKDF_SHA384,
        }
    }

    /// The key and IV that belong to a traffic secret (RFC 8446, 7.3).
    pub(super) fn derive_traffic_keys(self, secret: &[u8], key: &mut [u8], iv: &mut [u8; IV_LEN]) {
        self.expand_label(secret, b"key", key);
        self.expand_label(secret, b"iv", iv);
    }

    /// The next traffic secret in place of this one (RFC 8446, 7.2).
    pub(super) fn advance_secret(self, secret: &mut [u8]) {
        let mut next = [0; SECRET_LEN_MAX];
        let next = &mut next[..secret.len()];
        self.expand_label(secret, b"traffic upd", next);
        secret.copy_from_slice(next);
        next.zeroize();
    }

    /// HKDF-Expand-Label with an empty context (RFC 8446, 7.1).
    fn expand_label(self, secret: &[u8], label: &[u8], out: &mut [u8]) {
        const PREFIX: &[u8] = b"tls13 ";
        let length = (out.len() as u16).to_be_bytes();
        let label_len = [(PREFIX.len() + label.len()) as u8];
        let parts: [&[u8]; 5] = [&length, &label_len, PREFIX, label, &[0]];
        hkdf::Prk::new_less_safe(self.hash(), secret)
            .expand(&parts, Length(out.len()))
            .and_then(|okm| okm.fill(out))
            .expect("keys and secrets are far shorter than 255 hashes");
    }
}

/// Bytes of an IV and nonce, in all three.
pub(super) const IV_LEN: usize = 12;
/// Bytes of an authentication tag, in all three.
pub(super) const TAG_LEN: usize = 16;
/// The longest traffic secret.
pub(super) const SECRET_LEN_MAX: usize = 48;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key that is ready to work. Built per burst: that costs less than the cache misses of keeping one
/// per connection (`ARCHITECTURE.md`, TLS).
pub(super) struct Crypter(LessSafeKey);

impl Crypter {
    pub(super) fn new(suite: Suite, key: &[u8]) -> Self {
        let key = UnboundKey::new(suite.algorithm(), key);
        Self(LessSafeKey::new(
            key.expect("the key has the length of its suite"),
        ))
    }

    /// Decrypts `sealed` (ciphertext and tag) in place; the plaintext is in front. `None` if it was
    /// not made with this key, nonce and header.
    pub(super) fn open<'a>(
        &self,
        nonce: [u8; IV_LEN],
        header: [u8; 5],
        sealed: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, Aad::from(header), sealed).ok()
    }

    /// Encrypts `plain` into `out` and the record's type, with the tag, into `trailer`.
    pub(super) fn seal(
        &self,
        nonce: [u8; IV_LEN],
        header: [u8; 5],
        plain: &[u8],
        kind: u8,
        out: &mut [u8],
        trailer: &mut [u8],
    ) {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_out_of_place_scatter(nonce, Aad::from(header), plain, out, &[kind], trailer)
            .expect(LENGTHS_FIT);
    }

    /// As `seal`, but the plaintext lies in `out` already.
    pub(super) fn seal_in_place(
        &self,
        nonce: [u8; IV_LEN],
        header: [u8; 5],
        kind: u8,
        out: &mut [u8],
        trailer: &mut [u8],
    ) {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_scatter(nonce, Aad::from(header), out, &[kind], trailer)
            .expect(LENGTHS_FIT);
    }
}

const LENGTHS_FIT: &str = "a record is shorter than the AEAD's limit, and its parts fit each other";
