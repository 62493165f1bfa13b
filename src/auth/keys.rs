//! The keys that tokens are checked with, each for one algorithm.
//!
//! A token says how it is signed; it does not get to choose. The algorithm belongs to the key, so a
//! public key is never taken for a secret, and "none" is nobody's.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{DecodingKey, Header};

use crate::config::tokens::{Algorithm, KeyEntry, Material, Secret};
use crate::config::{Place, Problem, Tokens};

/// Bytes a file with keys may have.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// Keys in a key set.
const SET_KEYS_MAX: usize = 64;
/// Keys that are tried for a token that names none: an RSA signature takes some 20 us to check.
const TRIES_MAX: usize = 8;
/// NIST has called shorter moduli broken since 2014, and the library refuses them when it is late.
const RSA_MODULUS_BYTES_MIN: usize = 256;
/// What surrounds the modulus in a DER `RSAPublicKey`, at most: a key of 2048 bits has 270 bytes.
const RSA_DER_BYTES: usize = 10;

/// All keys.
#[derive(Default)]
pub struct Keys {
    keys: Vec<Key>,
}

struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    check: DecodingKey,
}

impl Keys {
    /// Reads all keys of a configuration, and the files it names.
    pub fn load(tokens: &Tokens) -> Result<Self, Vec<Problem>> {
        let (mut keys, mut problems) = (Self::default(), Vec::new());
        for entry in &tokens.keys {
            match Key::load(entry) {
                Ok(key) => keys.keys.push(key),
                Err(problem) => problems.push(problem),
            }
        }
        if let Some(path) = &tokens.jwks {
            match read(path).and_then(|text| of_set(path, &text)) {
                Ok(set) => keys.keys.extend(set),
                Err(problem) => problems.push(problem),
            }
        }
        match problems.is_empty() {
            true => Ok(keys),
            false => Err(problems),
        }
    }

    /// One secret, for tokens signed with [`sign`](super::sign()).
    pub fn of_secret(secret: &Secret) -> Self {
        Self {
            keys: vec![Key {
                kid: None,
                algorithm: Algorithm::Hs256,
                check: DecodingKey::from_secret(secret.expose()),
            }],
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that may have signed a token with this header, the likeliest first. A key without a
    /// name is tried whatever the token calls its own.
    pub(super) fn candidates(
        &self,
        header: &Header,
    ) -> impl Iterator<Item = (&DecodingKey, Algorithm)> {
        let is_named = |key: &&Key| header.kid.is_some() && key.kid == header.kid;
        let is_unnamed = |key: &&Key| key.kid.is_none() || header.kid.is_none();
        let fits = move |key: &&Key| foreign(key.algorithm) == header.alg;
        let named = self.keys.iter().filter(is_named);
        let others = self.keys.iter().filter(is_unnamed);
        named
            .chain(others)
            .filter(fits)
            .take(TRIES_MAX)
            .map(|key| (&key.check, key.algorithm))
    }
}

/// Ours as the library's.
pub(super) fn foreign(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}

impl Key {
    fn load(entry: &KeyEntry) -> Result<Self, Problem> {
        let check = match &entry.material {
            Material::Secret(secret) => DecodingKey::from_secret(secret.expose()),
            Material::File(path) => of_file(path, entry.algorithm)?,
        };
        Ok(Self {
            kid: entry.kid.clone(),
            algorithm: entry.algorithm,
            check,
        })
    }

    /// A key of a set. The library has checked the shape; whether the numbers can be a key is
    /// checked here, so that a broken one is found now and not by the first token.
    fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::Rs256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                Algorithm::Es256
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDsa
            }
            // A secret belongs into no file that is handed around as public.
            _ => return None,
        };
        let is_pinned_elsewhere = match jwk.common.key_algorithm {
            Some(named) => Some(named) != named_for(algorithm),
            None => false,
        };
        let is_for_signatures =
            !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        let check = DecodingKey::from_jwk(jwk).ok()?;
        let is_fit = is_for_signatures && !is_pinned_elsewhere && is_sound(&check, algorithm);
        is_fit.then(|| Self {
            kid: jwk.common.key_id.clone(),
            algorithm,
            check,
        })
    }
}

fn named_for(algorithm: Algorithm) -> Option<KeyAlgorithm> {
    match algorithm {
        Algorithm::Hs256 => Some(KeyAlgorithm::HS256),
        Algorithm::Rs256 => Some(KeyAlgorithm::RS256),
        Algorithm::Es256 => Some(KeyAlgorithm::ES256),
        Algorithm::EdDsa => Some(KeyAlgorithm::EdDSA),
    }
}

/// Whether a key has the size its algorithm needs.
fn is_sound(key: &DecodingKey, algorithm: Algorithm) -> bool {
    use jsonwebtoken::DecodingKeyKind;
    match (algorithm, key.kind()) {
        (Algorithm::Rs256, DecodingKeyKind::RsaModulusExponent { n, .. }) => {
            n.len() >= RSA_MODULUS_BYTES_MIN
        }
        (Algorithm::Rs256, DecodingKeyKind::SecretOrDer(der)) => {
            der.len() >= RSA_MODULUS_BYTES_MIN + RSA_DER_BYTES
        }
        // An uncompressed point on P-256.
        (Algorithm::Es256, DecodingKeyKind::SecretOrDer(point)) => point.len() == 65,
        (Algorithm::EdDsa, DecodingKeyKind::SecretOrDer(point)) => point.len() == 32,
        (Algorithm::Hs256, DecodingKeyKind::SecretOrDer(secret)) => {
            secret.len() >= Secret::BYTES_MIN
        }
        _ => false,
    }
}

/// The secret in a file, without the line's end.
pub fn secret_of(path: &Path) -> Result<Secret, Problem> {
    Secret::new(read(path)?.trim_ascii()).ok_or_else(|| {
        let cause = "the secret in it has fewer than 32 bytes".to_owned();
        problem(path, cause, "make one with: openssl rand -hex 32")
    })
}

fn of_file(path: &Path, algorithm: Algorithm) -> Result<DecodingKey, Problem> {
    let parse = match algorithm {
        Algorithm::Hs256 => {
            return secret_of(path).map(|secret| DecodingKey::from_secret(secret.expose()));
        }
        Algorithm::Rs256 => DecodingKey::from_rsa_pem,
        Algorithm::Es256 => DecodingKey::from_ec_pem,
        Algorithm::EdDsa => DecodingKey::from_ed_pem,
    };
    let text = read(path)?;
    if text.windows(11).any(|window| window == b"PRIVATE KEY") {
        return Err(problem(
            path,
            "it holds a private key, and checking needs the public one only".to_owned(),
            "write the public half with: openssl pkey -in FILE -pubout",
        ));
    }
    match parse(&text) {
        Ok(key) if is_sound(&key, algorithm) => Ok(key),
        _ => Err(problem(
            path,
            format!("it holds no public key for {}", algorithm.name()),
            "RS256 takes RSA of 2048 bits or more, ES256 P-256, EdDSA Ed25519, all as PEM",
        )),
    }
}

/// The usable keys of a set. Others are left out, as RFC 7517 (5) has it; a set without any is a
/// mistake.
fn of_set(path: &Path, text: &[u8]) -> Result<Vec<Key>, Problem> {
    let cure = "write a JSON Web Key Set: {\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",..}]}";
    let Ok(set) = serde_json::from_slice::<JwkSet>(text) else {
        return Err(problem(path, "it is no JSON Web Key Set".to_owned(), cure));
    };
    if set.keys.len() > SET_KEYS_MAX {
        let cause = format!(
            "it has {} keys, and there can be {SET_KEYS_MAX}",
            set.keys.len()
        );
        return Err(problem(
            path,
            cause,
            "leave out those that no living token is signed with",
        ));
    }
    let keys: Vec<_> = set.keys.iter().filter_map(Key::of_jwk).collect();
    if keys.is_empty() {
        let cause = "it has no public key for RS256, ES256 or EdDSA".to_owned();
        return Err(problem(path, cause, cure));
    }
    Ok(keys)
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let outcome =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text));
    if let Err(error) = outcome {
        let cause = format!("it cannot be read: {error}");
        return Err(problem(path, cause, "check the path and its permissions"));
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        let cause = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(problem(path, cause, "name a file that holds keys"));
    }
    Ok(text)
}

fn problem(path: &Path, cause: String, cure: &str) -> Problem {
    Problem::error(Place::File(path.to_string_lossy().into()), cause, cure)
}
