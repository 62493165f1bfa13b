//! The checks of a request head: the page's origin, then the token, wherever it is.

use super::claims::Identity;
use super::verify::Guard;
use crate::config::Origin;
use crate::config::origin::WebOrigin;

/// What of a request head matters here.
#[derive(Clone, Copy, Default)]
pub struct Handshake<'h> {
    /// `Origin`.
    pub origin: Option<&'h str>,
    /// `Host`.
    pub host: Option<&'h str>,
    /// What follows the `?` of the target.
    pub query: Option<&'h str>,
    /// `Authorization`.
    pub authorization: Option<&'h str>,
    /// `Cookie`.
    pub cookie: Option<&'h str>,
    /// Whether the listener can be reached from this machine only.
    pub is_local: bool,
}

/// Who is at the door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Visitor {
    /// Somebody with a good token.
    Known(Identity),
    /// Somebody without one.
    Unknown {
        /// Whether that will do. If not, a dialect with a command to log in waits for it, and the
        /// others answer [`Refused::Unauthorized`].
        may_stay: bool,
    },
}

/// What is answered instead of an upgrade. Every reason for one of them looks the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// No token, or one that is no good.
    Unauthorized,
    /// The page's origin is not on the list.
    Forbidden,
}

impl Refused {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
        }
    }

    /// The body, plain text.
    pub fn body(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized\n",
            Self::Forbidden => "forbidden\n",
        }
    }
}

impl Guard {
    /// Judges a request head. `now_s` is in seconds since 1970.
    pub fn admit(&self, handshake: &Handshake<'_>, now_s: u64) -> Result<Visitor, Refused> {
        if !self.admits_origin(handshake.origin, handshake.host) {
            return Err(Refused::Forbidden);
        }
        match handshake.token(&self.auth.tokens.cookie) {
            Some(token) => match self.connection(token, now_s) {
                Ok(identity) => Ok(Visitor::Known(identity)),
                Err(_) => Err(Refused::Unauthorized),
            },
            None => Ok(Visitor::Unknown {
                may_stay: self.allows_anonymous(handshake.is_local),
            }),
        }
    }

    /// Whether a page of this origin may. Who names none is no browser.
    fn admits_origin(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(text) = origin else {
            return true;
        };
        // "null" and what is no origin at all are let in by * only.
        let origin = WebOrigin::parse(text).ok();
        self.auth
            .origins
            .iter()
            .any(|allowed| match (allowed, &origin) {
                (Origin::Any, _) => true,
                (Origin::Same, Some(origin)) => host.is_some_and(|host| origin.is_at(host)),
                (Origin::Exact(allowed), Some(origin)) => allowed == origin,
                (_, None) => false,
            })
    }
}

impl<'h> Handshake<'h> {
    /// The token of the first place that has one: query, `Authorization`, cookie. A bad one is not
    /// made good by another one elsewhere. A token's letters need no escapes anywhere, so none are
    /// undone.
    fn token(&self, cookie_name: &str) -> Option<&'h str> {
        self.of_query()
            .or_else(|| self.of_authorization())
            .or_else(|| self.of_cookie(cookie_name))
    }

    fn of_query(&self) -> Option<&'h str> {
        let mut pairs = self.query?.split('&');
        pairs.find_map(|pair| pair.strip_prefix("token="))
    }

    /// Other schemes than Bearer are for whoever stands in front of us.
    fn of_authorization(&self) -> Option<&'h str> {
        let (scheme, token) = self.authorization?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim_matches(' '))
    }

    fn of_cookie(&self, name: &str) -> Option<&'h str> {
        let mut pairs = self.cookie.filter(|_| !name.is_empty())?.split(';');
        pairs.find_map(|pair| pair.trim_matches(' ').strip_prefix(name)?.strip_prefix('='))
    }
}

impl std::fmt::Debug for Handshake<'_> {
    /// Without what may hold a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake")
            .field("origin", &self.origin)
            .field("host", &self.host)
            .field("is_local", &self.is_local)
            .finish_non_exhaustive()
    }
}
