//! What tokens are checked with: keys, and who they have to be from and for.

use std::fmt;
use std::path::PathBuf;

/// Everything about tokens that is written in `[auth]` and is no knob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// `[[auth.keys]]`, in order.
    pub keys: Vec<KeyEntry>,
    /// A file with more of them, as a JSON Web Key Set.
    pub jwks: Option<PathBuf>,
    /// The `iss` that tokens must have; empty if any will do.
    pub issuer: String,
    /// The `aud` that tokens must have; empty if any will do.
    pub audience: String,
    /// The cookie a token may come in; empty if none.
    pub cookie: String,
}

impl Tokens {
    /// Whether there is nothing to check a token with.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.jwks.is_none()
    }
}

/// One of `[[auth.keys]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// The one algorithm it is for.
    pub algorithm: Algorithm,
    /// Its name; tokens that name a key are only checked with that one.
    pub kid: Option<String>,
    /// The key.
    pub material: Material,
}

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// Here.
    Secret(Secret),
    /// In a file: a secret as text, or a public key as PEM.
    File(PathBuf),
}

/// How tokens may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: one secret signs and checks.
    Hs256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// Its name in tokens and in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// A secret, which is not shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// RFC 7518, 3.2: no shorter than the hash. What is shorter can be guessed offline from any one
    /// token.
    pub const BYTES_MIN: usize = 32;

    /// Takes a secret, if it is long enough.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::BYTES_MIN).then(|| Self(bytes.into()))
    }

    /// The secret.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
