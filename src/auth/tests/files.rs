//! Keys in files: PEM, secrets, key sets; and what is wrong with some.

use std::fs;
use std::path::PathBuf;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Header, encode};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    RsaKeySize,
};

use super::*;

/// A folder of this test's own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let id = std::process::id();
        let folder = std::env::temp_dir().join(format!("throng-keys-{name}-{id}"));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A key of each kind that signs elsewhere and is only checked here.
fn pairs() -> [(Algorithm, KeyPair); 3] {
    [
        (
            Algorithm::Rs256,
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
        ),
        (
            Algorithm::Es256,
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        ),
        (
            Algorithm::EdDsa,
            KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        ),
    ]
}

fn foreign(algorithm: Algorithm) -> Foreign {
    algorithm.name().parse().unwrap()
}

fn private(algorithm: Algorithm, pair: &KeyPair) -> EncodingKey {
    let pem = pair.serialize_pem();
    match algorithm {
        Algorithm::Rs256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
        Algorithm::Es256 => EncodingKey::from_ec_pem(pem.as_bytes()),
        _ => EncodingKey::from_ed_pem(pem.as_bytes()),
    }
    .unwrap()
}

fn signed(algorithm: Algorithm, pair: &KeyPair, kid: Option<&str>) -> String {
    let mut header = Header::new(foreign(algorithm));
    header.kid = kid.map(str::to_owned);
    encode(&header, &claims(), &private(algorithm, pair)).unwrap()
}

/// The public half as an entry of a key set.
fn entry((algorithm, pair): &(Algorithm, KeyPair)) -> Value {
    let raw = pair.public_key_raw();
    let mut jwk = match algorithm {
        Algorithm::Rs256 => {
            let private = private(*algorithm, pair);
            serde_json::to_value(Jwk::from_encoding_key(&private, Foreign::RS256).unwrap()).unwrap()
        }
        Algorithm::Es256 => json!({
            "kty": "EC", "crv": "P-256", "x": BASE64.encode(&raw[1..33]), "y": BASE64.encode(&raw[33..])
        }),
        _ => json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(raw)}),
    };
    jwk["kid"] = json!(algorithm.name());
    jwk["alg"] = json!(algorithm.name());
    jwk
}

fn keyed(algorithm: Algorithm, path: PathBuf) -> Auth {
    let mut auth = Auth::default();
    auth.tokens.keys.push(KeyEntry {
        algorithm,
        kid: None,
        material: Material::File(path),
    });
    auth
}

#[test]
fn public_keys_check_their_own_algorithm_only() {
    let folder = Folder::new("public");
    let pairs = pairs();
    for (algorithm, pair) in &pairs {
        let path = folder.file(algorithm.name(), pair.public_key_pem());
        let guard = Guard::load(&keyed(*algorithm, path), None).unwrap();
        for (other, other_pair) in &pairs {
            let outcome = guard.connection(&signed(*other, other_pair, None), NOW_S);
            assert_eq!(
                outcome.is_ok(),
                algorithm == other,
                "{algorithm:?} {other:?}"
            );
        }
        // The public key is public: as a secret it signs nothing.
        let pem = pair.public_key_pem();
        for secret in [pem.as_str(), pem.trim()] {
            let forged = token_of(&json!({"alg": "HS256"}), &claims().to_string(), secret);
            assert_eq!(guard.connection(&forged, NOW_S), Err(Denied::Invalid));
        }
        let forged = BASE64.encode(json!({"alg": "none"}).to_string());
        let token = signed(*algorithm, pair, None);
        let body = token.split('.').nth(1).unwrap();
        assert_eq!(
            guard.connection(&format!("{forged}.{body}."), NOW_S),
            Err(Denied::Invalid)
        );
    }
}

#[test]
fn a_secret_may_be_in_a_file() {
    let folder = Folder::new("secret");
    let auth = keyed(
        Algorithm::Hs256,
        folder.file("secret", format!("{SECRET}\n")),
    );
    let guard = Guard::load(&auth, None).unwrap();
    assert!(guard.connection(&token(&claims()), NOW_S).is_ok());
}

#[test]
fn a_key_set_has_many_keys_and_rotates_by_reload() {
    let folder = Folder::new("set");
    let pairs = pairs();
    let mut keys: Vec<Value> = pairs.iter().map(entry).collect();
    let without_alg = |mut jwk: Value| {
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    };
    keys[1] = without_alg(keys[1].clone());
    let mut encryption = without_alg(keys[0].clone());
    encryption["use"] = json!("enc");
    let mut pinned_elsewhere = keys[0].clone();
    pinned_elsewhere["alg"] = json!("PS256");
    let mut cut = keys[1].clone();
    cut["x"] = json!("AAAA");
    let left_out = [
        json!({"kty": "oct", "k": BASE64.encode(SECRET), "alg": "HS256"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}),
        encryption,
        pinned_elsewhere,
        cut,
    ];
    let all: Vec<_> = keys.iter().chain(&left_out).collect();
    let path = folder.file("keys.json", json!({"keys": all}).to_string());
    let mut auth = Auth::default();
    auth.tokens.jwks = Some(path);
    assert_eq!(
        Keys::load(&auth.tokens).map(|keys| keys.len()).ok(),
        Some(3)
    );
    let guard = Guard::load(&auth, None).unwrap();
    for (algorithm, pair) in &pairs {
        for (kid, is_good) in [
            (Some(algorithm.name()), true),
            (None, true),
            (Some("x"), false),
        ] {
            let outcome = guard.connection(&signed(*algorithm, pair, kid), NOW_S);
            assert_eq!(outcome.is_ok(), is_good, "{algorithm:?} {kid:?}");
        }
    }
    assert_eq!(
        guard.connection(&token(&claims()), NOW_S),
        Err(Denied::Invalid),
        "no secrets in sets"
    );

    let fresh = (
        Algorithm::EdDsa,
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    );
    folder.file(
        "keys.json",
        json!({"keys": [entry(&fresh), keys[0]]}).to_string(),
    );
    let guard = Guard::load(&auth, None).unwrap();
    assert!(
        guard
            .connection(&signed(fresh.0, &fresh.1, Some("EdDSA")), NOW_S)
            .is_ok()
    );
    assert!(
        guard
            .connection(&signed(pairs[0].0, &pairs[0].1, Some("RS256")), NOW_S)
            .is_ok()
    );
    let old = signed(pairs[2].0, &pairs[2].1, Some("EdDSA"));
    assert_eq!(guard.connection(&old, NOW_S), Err(Denied::Invalid));
}

#[test]
fn broken_files_are_found_before_anybody_comes() {
    let folder = Folder::new("broken");
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let table = [
        (
            Algorithm::Es256,
            p256.serialize_pem(),
            "it holds a private key",
        ),
        (
            Algorithm::Es256,
            p384.public_key_pem(),
            "it holds no public key for ES256",
        ),
        (
            Algorithm::EdDsa,
            p256.public_key_pem(),
            "it holds no public key for EdDSA",
        ),
        (
            Algorithm::Rs256,
            rsa_1024(),
            "it holds no public key for RS256",
        ),
        (
            Algorithm::Rs256,
            String::new(),
            "it holds no public key for RS256",
        ),
        (
            Algorithm::EdDsa,
            "garbage".to_owned(),
            "it holds no public key for EdDSA",
        ),
        (
            Algorithm::Hs256,
            "sesame".to_owned(),
            "the secret in it has fewer than 32 bytes",
        ),
        (
            Algorithm::Hs256,
            "x".repeat(300 << 10),
            "it is larger than 262144 bytes",
        ),
    ];
    for (algorithm, text, cause) in table {
        let auth = keyed(algorithm, folder.file("key", text));
        let problems = Guard::load(&auth, None).map(|_| ()).unwrap_err();
        assert!(problems[0].cause.starts_with(cause), "{}", problems[0]);
        assert!(!problems[0].to_string().contains("sesame"));
        assert!(
            problems[0].to_string().contains("/key: error: "),
            "{}",
            problems[0]
        );
    }
    let many = json!({"keys": vec![json!({"kty": "AKP"}); 65]}).to_string();
    for text in [
        "",
        "{}",
        "[]",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
        &many,
    ] {
        let mut auth = Auth::default();
        auth.tokens.jwks = Some(folder.file("set", text));
        assert!(Guard::load(&auth, None).is_err(), "{text}");
    }
    // Everything at once, as with every other mistake in a configuration.
    let mut auth = keyed(Algorithm::Rs256, folder.0.join("missing"));
    auth.tokens.jwks = Some(folder.0.join("missing too"));
    let problems = Guard::load(&auth, None).map(|_| ()).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems[0].cause.starts_with("it cannot be read: "));
}

/// An RSA key of half the size, which no tool of today would make.
fn rsa_1024() -> String {
    let mut der = vec![0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00];
    der.extend([0xc7; 128]);
    der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN RSA PUBLIC KEY-----\n{text}\n-----END RSA PUBLIC KEY-----\n")
}
