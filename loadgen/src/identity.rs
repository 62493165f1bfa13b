//! Who a connection is: its user's name and its token, from templates or signed on the spot.
//!
//! A token is in no report, error or `Debug`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use throng::auth::{NewToken, secret_of, sign};

/// Who the connections of a cohort are.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The user's name; `{n}` becomes the connection's number.
    pub user: String,
    /// How it gets its token.
    pub token: Option<Token>,
}

/// Where tokens come from.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// As written; `{n}` becomes the connection's number.
    Template(String),
    /// Signed with HS256, one for every user.
    Signed(Signer),
}

/// Makes the token of a user that is good until then.
type Sign = dyn Fn(&str, u64) -> String + Send + Sync;

/// A secret, and until when its tokens are good.
#[derive(Clone)]
pub struct Signer {
    sign: Arc<Sign>,
    expires_at_s: u64,
}

impl Signer {
    /// With the secret in a file.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let secret = secret_of(path).map_err(|problem| problem.to_string())?;
        let sign = move |user: &str, expires_at_s| {
            let token = NewToken {
                user,
                expires_at_s,
                channel: None,
                about: None,
                issuer: "",
                audience: "",
            };
            sign(&token, &secret, None)
        };
        Ok(Self {
            sign: Arc::new(sign),
            expires_at_s: unix_s() + LIFE_S,
        })
    }
}

/// Two are the same if they are one: what they hold is not looked at.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sign, &other.sign) && self.expires_at_s == other.expires_at_s
    }
}

impl Eq for Signer {}

impl fmt::Debug for Token {
    /// Where it comes from, never what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Template(_) => "Template(..)",
            Self::Signed(_) => "Signed(..)",
        })
    }
}

impl Identity {
    /// The name of this connection's user.
    #[must_use]
    pub fn user(&self, number: u32) -> String {
        let template = match self.user.as_str() {
            "" => USER,
            given => given,
        };
        template.replace(NUMBER, &number.to_string())
    }

    /// The token of this connection.
    #[must_use]
    pub fn token(&self, number: u32) -> Option<String> {
        Some(match self.token.as_ref()? {
            Token::Template(template) => template.replace(NUMBER, &number.to_string()),
            Token::Signed(signer) => (signer.sign)(&self.user(number), signer.expires_at_s),
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tokens expire by wall time; nothing is measured with it"
)]
fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Users, unless they are named.
pub const USER: &str = "user{n}";
/// Becomes the connection's number.
pub const NUMBER: &str = "{n}";
/// A day: longer than any run.
const LIFE_S: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_signed_for_their_user_and_shown_nowhere() {
        let dir = std::env::temp_dir().join(format!("loadgen-identity-{}", std::process::id()));
        std::fs::write(&dir, "0123456789abcdef0123456789abcdef\n").unwrap();
        let signer = Signer::of_file(&dir).unwrap();
        std::fs::remove_file(&dir).unwrap();
        let identity = Identity {
            user: "device-{n}".into(),
            token: Some(Token::Signed(signer)),
        };
        let token = identity.token(7).unwrap();
        let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts");
        };
        use base64::Engine as _;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
        let claims: serde_json::Value = serde_json::from_slice(&claims.unwrap()).unwrap();
        assert_eq!(claims["sub"], "device-7");
        assert!(claims["exp"].as_u64() > Some(1_700_000_000 + LIFE_S));
        assert_ne!(identity.token(8), identity.token(7));
        assert!(!format!("{identity:?}").contains(&token[..8]));
        let plain = Identity {
            user: String::new(),
            token: Some(Token::Template("secret-{n}".into())),
        };
        assert_eq!(plain.token(3).as_deref(), Some("secret-3"));
        assert_eq!(plain.user(3), "user3");
        assert!(!format!("{plain:?}").contains("secret"));
        assert!(Signer::of_file(Path::new("/nowhere")).is_err());
    }
}
