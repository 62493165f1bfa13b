//! Checking tokens.
//!
//! The library checks the signature, with the algorithm of the key; the claims are checked here,
//! with the time as an argument. In this order: nothing is believed, or told apart, before the
//! signature holds.

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

use super::claims::{Claims, Grant, Identity, Standing};
use super::keys::{Keys, foreign};
use crate::config::tokens::{Algorithm, Secret};
use crate::config::{Anonymous, Auth, Problem};

/// Bytes a token may have. A request's target has at most as many, so nothing is lost that could
/// have come at a handshake.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// Why a token is not taken. That is all there is to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// It is no good, for whatever reason.
    Invalid,
    /// Whoever holds a key signed it, and its time is over: another will do.
    Expired,
}

/// All that is needed to tell who may come in.
pub struct Guard {
    keys: Keys,
    pub(super) auth: Auth,
    /// Whether its keys were configured, and are not the development key.
    is_configured: bool,
}

impl Guard {
    /// Reads the keys of a configuration. Without any, tokens are checked with the development key.
    pub fn load(auth: &Auth, dev_key: Option<&Secret>) -> Result<Self, Vec<Problem>> {
        let is_configured = !auth.tokens.is_empty();
        let keys = match (is_configured, dev_key) {
            (false, Some(secret)) => Keys::of_secret(secret),
            _ => Keys::load(&auth.tokens)?,
        };
        Ok(Self {
            keys,
            auth: auth.clone(),
            is_configured,
        })
    }

    /// Whether a client without a token may come in, on a listener that is for this machine only
    /// or is not.
    pub fn allows_anonymous(&self, is_local: bool) -> bool {
        match self.auth.anonymous {
            Anonymous::Auto => is_local && !self.is_configured,
            Anonymous::Off => false,
            Anonymous::On => true,
        }
    }

    /// Whether it has been told about keys, origins or anonymous clients, and so is not just being
    /// tried out.
    pub fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// Who a token says its bearer is.
    pub fn connection(&self, token: &str, now_s: u64) -> Result<Identity, Denied> {
        self.claims(token, now_s)?.identity().ok_or(Denied::Invalid)
    }

    /// What a token allows this user, on this connection, in this channel.
    pub fn subscription(
        &self,
        token: &str,
        now_s: u64,
        user: &str,
        channel: &str,
        client: &str,
    ) -> Result<Grant, Denied> {
        let claims = self.claims(token, now_s)?;
        claims.grant(user, channel, client).ok_or(Denied::Invalid)
    }

    fn claims(&self, token: &str, now_s: u64) -> Result<Claims, Denied> {
        // Three parts, before anything is decoded: a fourth would be somebody's dialect.
        if token.len() > TOKEN_BYTES_MAX || token.bytes().filter(|byte| *byte == b'.').count() != 2
        {
            return Err(Denied::Invalid);
        }
        let header = decode_header(token).map_err(|_| Denied::Invalid)?;
        // RFC 7515, 4.1.11: what has to be understood and is not.
        if header.crit.is_some() {
            return Err(Denied::Invalid);
        }
        let mut signed = self
            .keys
            .candidates(&header)
            .filter_map(|(key, algorithm)| signed_claims(token, key, algorithm));
        let claims = signed.next().ok_or(Denied::Invalid)?;
        if !claims.is_ours(&self.auth.tokens) {
            return Err(Denied::Invalid);
        }
        match claims.standing(now_s, u64::from(self.auth.leeway_ms / 1_000)) {
            Standing::Valid => Ok(claims),
            Standing::TooEarly => Err(Denied::Invalid),
            Standing::Expired => Err(Denied::Expired),
        }
    }
}

/// The claims, if the signature is this key's. The library's own checks of claims read the clock
/// and are looser about types, so they are off.
fn signed_claims(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<Claims> {
    let mut validation = Validation::new(foreign(algorithm));
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let token = decode::<Claims>(token, key, &validation).ok()?;
    Some(token.claims)
}
