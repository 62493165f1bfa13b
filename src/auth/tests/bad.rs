//! Tokens that nobody should take, each with what is wrong about it.

use super::*;

pub(super) fn bad_tokens() -> Vec<(&'static str, String)> {
    [shapes(), signatures(), headers(), dates(), others()].concat()
}

type Bad = Vec<(&'static str, String)>;

/// Header, claims and signature of a good token.
fn parts() -> [String; 3] {
    let good = token(&claims());
    let parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn headed(header: Value) -> String {
    token_of(&header, &claims().to_string(), SECRET)
}

fn claimed(claims: &str) -> String {
    token_of(&json!({"alg": "HS256"}), claims, SECRET)
}

fn shapes() -> Bad {
    let good = token(&claims());
    let [header, body, signature] = parts();
    vec![
        ("empty", String::new()),
        ("a word", "sesame".to_owned()),
        ("two dots only", "..".to_owned()),
        ("two parts", format!("{header}.{body}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as encrypted ones have", format!("{good}.a.b")),
        (
            "huge",
            format!("{header}.{}.{signature}", "A".repeat(TOKEN_BYTES_MAX)),
        ),
        ("spaces around", format!(" {good} ")),
        ("a line feed behind", format!("{good}\n")),
        ("padding", format!("{header}.{body}.{signature}=")),
        ("not base64", format!("{header}+.{body}.{signature}")),
    ]
}

fn signatures() -> Bad {
    let [header, body, signature] = parts();
    let plain = claims().to_string();
    let by = |secret: &str| token_of(&json!({"alg": "HS256"}), &plain, secret);
    let mut flipped = signature.clone().into_bytes();
    flipped[3] = if flipped[3] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let admin = BASE64.encode(with("sub", json!("admin")).to_string());
    vec![
        ("no signature", format!("{header}.{body}.")),
        ("another signature", format!("{header}.{body}.{flipped}")),
        (
            "half a signature",
            format!("{header}.{body}.{}", &signature[..20]),
        ),
        ("other claims", format!("{header}.{admin}.{signature}")),
        ("another secret", by(&"x".repeat(32))),
        ("the empty secret", by("")),
        ("a part of the secret", by(&SECRET[..31])),
    ]
}

fn headers() -> Bad {
    let [_, body, _] = parts();
    let unsigned = |alg: &str| {
        let header = BASE64.encode(json!({"alg": alg}).to_string());
        format!("{header}.{body}.")
    };
    let jwk = json!({"kty": "oct", "k": BASE64.encode("y".repeat(64))});
    let own_key = json!({"alg": "HS256", "jwk": jwk});
    let plain = claims().to_string();
    vec![
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg nOnE, signed", headed(json!({"alg": "nOnE"}))),
        ("alg of another key type", headed(json!({"alg": "RS256"}))),
        ("alg of another hash", headed(json!({"alg": "HS512"}))),
        ("alg in lower case", headed(json!({"alg": "hs256"}))),
        ("alg a number", headed(json!({"alg": 1}))),
        ("no alg", headed(json!({"typ": "JWT"}))),
        (
            "kid of nobody",
            headed(json!({"alg": "HS256", "kid": "nobody"})),
        ),
        (
            "kid a path",
            headed(json!({"alg": "HS256", "kid": "../../../../dev/null"})),
        ),
        (
            "kid an injection",
            headed(json!({"alg": "HS256", "kid": "x' OR '1'='1"})),
        ),
        ("kid a number", headed(json!({"alg": "HS256", "kid": 7}))),
        ("its own key", token_of(&own_key, &plain, &"y".repeat(64))),
        (
            "crit not understood",
            headed(json!({"alg": "HS256", "crit": ["b64"], "b64": false})),
        ),
        ("header is no object", headed(json!(["HS256"]))),
    ]
}

fn dates() -> Bad {
    let dated = |key: &str, value: Value| claimed(&with(key, value).to_string());
    vec![
        ("no exp", claimed(r#"{"sub":"bob"}"#)),
        (
            "exp in quotes",
            dated("exp", json!((NOW_S + 60).to_string())),
        ),
        ("exp null", dated("exp", Value::Null)),
        ("exp a list", dated("exp", json!([NOW_S + 60]))),
        ("exp negative", dated("exp", json!(-1))),
        (
            "exp beyond numbers",
            claimed(r#"{"sub":"bob","exp":1e400}"#),
        ),
        ("exp beyond dates", claimed(r#"{"sub":"bob","exp":1e300}"#)),
        ("nbf to come", dated("nbf", json!(NOW_S + 60))),
        ("nbf in quotes", dated("nbf", json!("0"))),
    ]
}

fn others() -> Bad {
    let twice = format!(r#"{{"sub":"bob","sub":"admin","exp":{}}}"#, NOW_S + 60);
    let subject = |sub: Value| claimed(&with("sub", sub).to_string());
    vec![
        ("claims are no object", claimed("[]")),
        ("claims are no JSON", claimed("sub=bob")),
        ("claims twice", claimed(&twice)),
        ("no sub", claimed(&json!({"exp": NOW_S + 60}).to_string())),
        ("sub empty", subject(json!(""))),
        ("sub a number", subject(json!(42))),
        (
            "sub too long",
            subject(json!("x".repeat(USER_BYTES_MAX + 1))),
        ),
        (
            "for a subscription",
            claimed(&with("channel", json!("news")).to_string()),
        ),
    ]
}
