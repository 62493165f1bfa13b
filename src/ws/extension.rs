//! Negotiating permessage-deflate (RFC 7692 7.1): the server's answer, the client's offer.
//!
//! The grammar is RFC 6455 9.1's in full, quoted values too, read in one pass. What is *not* done
//! is repair: an offer with a parameter twice, unknown, or out of range is declined and the next one
//! is looked at; a header that breaks the grammar is worth nothing as a whole.

use std::fmt;

mod grammar;

pub use super::deflate::Agreed;
use super::deflate::{DeflateConfig, Half, Mode};
use grammar::{Extension, Malformed, Reader};

/// The server's answer to a client's offers (all `Sec-WebSocket-Extensions` values, joined by ", "):
/// what is agreed, and the value of the header that says so. `None`: no extension, no header.
///
/// The first offer that can be kept wins. Besides what was offered, the answer holds at most the two
/// promises RFC 7692 lets a server demand unasked: no context takeover, either way.
pub fn negotiate(offers: &str, config: &DeflateConfig) -> Option<(Agreed, String)> {
    if config.mode == Mode::Off {
        return None;
    }
    let mut agreed = None;
    for offer in Reader::new(offers) {
        // Also behind the offer that wins: half a header is no header.
        let offer = offer.ok()?;
        if agreed.is_none() && offer.name == NAME {
            agreed = Parameters::of(&offer, Side::Client).map(|offered| answer(&offered, config));
        }
    }
    agreed
}

/// What a client offers; `None` if it wants no compression.
pub fn offer(config: &DeflateConfig) -> Option<String> {
    let offered = offered(config)?;
    Some(offered.to_string())
}

/// What a client makes of the server's answer to [`offer`]: `Ok(None)` if the server wants none.
///
/// # Errors
///
/// The answer names something that was not offered, contradicts the offer or is malformed; then the
/// connection must fail (RFC 6455 4.1, RFC 7692 7.1).
pub fn accept_answer(answer: &str, config: &DeflateConfig) -> Result<Option<Agreed>, BadAnswer> {
    let mut agreed = None;
    for extension in Reader::new(answer) {
        let extension = extension.map_err(|Malformed| BadAnswer)?;
        let offered = offered(config).ok_or(BadAnswer)?;
        if agreed.is_some() || extension.name != NAME {
            return Err(BadAnswer);
        }
        let answered = Parameters::of(&extension, Side::Server).ok_or(BadAnswer)?;
        let context_kept = offered.server_no_context && !answered.server_no_context;
        let too_big = |wanted| answered.server_bits.is_none_or(|bits| bits > wanted);
        if context_kept || offered.server_bits.is_some_and(too_big) {
            return Err(BadAnswer);
        }
        let ours_bits = answered.client_bits.flatten().unwrap_or(15);
        agreed = Some(Agreed {
            ours: Half::new(
                ours_bits.min(config.window_bits()),
                !(answered.client_no_context || offered.client_no_context),
            ),
            theirs: Half::new(
                answered.server_bits.unwrap_or(15),
                !answered.server_no_context,
            ),
        });
    }
    Ok(agreed)
}

/// A server's answer that a client must not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAnswer;

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's answer to our extension offer is not acceptable")
    }
}

impl std::error::Error for BadAnswer {}

/// The answer to an offer that can be kept; all of them can.
fn answer(offered: &Parameters, config: &DeflateConfig) -> (Agreed, String) {
    let shared = config.mode == Mode::Shared;
    let window_bits = config.window_bits();
    let ours_bits = offered.server_bits.unwrap_or(15).min(window_bits);
    // A peer's window costs memory only if it is kept. A client that did not say it can shrink its
    // window may not be asked to; if it is then too big for us, it is not kept.
    let theirs_bits = offered.client_bits.map(|bits| bits.unwrap_or(15));
    let (theirs_bits, fits) = match theirs_bits {
        Some(bits) => (bits.min(window_bits), true),
        None => (15, window_bits == 15),
    };
    let answer = Parameters {
        server_no_context: shared || offered.server_no_context,
        client_no_context: shared || offered.client_no_context || !fits,
        server_bits: offered.server_bits.map(|_| ours_bits),
        client_bits: (!shared && offered.client_bits.is_some()).then_some(Some(theirs_bits)),
    };
    let agreed = Agreed {
        ours: Half::new(ours_bits, !answer.server_no_context),
        theirs: Half::new(
            answer.client_bits.flatten().unwrap_or(15),
            !answer.client_no_context,
        ),
    };
    (agreed, answer.to_string())
}

fn offered(config: &DeflateConfig) -> Option<Parameters> {
    match config.mode {
        Mode::Off => None,
        Mode::Shared => Some(Parameters {
            server_no_context: true,
            client_no_context: true,
            server_bits: None,
            client_bits: Some(None),
        }),
        Mode::Dedicated => Some(Parameters {
            server_no_context: false,
            client_no_context: false,
            // A window that is kept is a window we pay for; 15 is what goes without saying.
            server_bits: Some(config.window_bits()).filter(|&bits| bits < 15),
            client_bits: Some(None),
        }),
    }
}

/// The four parameters of permessage-deflate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parameters {
    server_no_context: bool,
    client_no_context: bool,
    server_bits: Option<u8>,
    /// `Some(None)`: the client can shrink its window and leaves it to the server by how much.
    client_bits: Option<Option<u8>>,
}

/// Whose words are read: only a client may leave `client_max_window_bits` without a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Parameters {
    /// `None` if any parameter is unknown, repeated, or has a value it may not have.
    fn of(extension: &Extension<'_>, side: Side) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in extension.parameters() {
            let is_new = match (name, value.as_deref()) {
                (SERVER_NO_CONTEXT, None) => !std::mem::replace(&mut read.server_no_context, true),
                (CLIENT_NO_CONTEXT, None) => !std::mem::replace(&mut read.client_no_context, true),
                (SERVER_BITS, Some(bits)) => read.server_bits.replace(window_bits(bits)?).is_none(),
                (CLIENT_BITS, Some(bits)) => {
                    let bits = window_bits(bits)?;
                    read.client_bits.replace(Some(bits)).is_none()
                }
                (CLIENT_BITS, None) if side == Side::Client => {
                    read.client_bits.replace(None).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(read)
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        for (name, is_set) in [
            (SERVER_NO_CONTEXT, self.server_no_context),
            (CLIENT_NO_CONTEXT, self.client_no_context),
        ] {
            if is_set {
                write!(f, "; {name}")?;
            }
        }
        for (name, bits) in [
            (SERVER_BITS, self.server_bits.map(Some)),
            (CLIENT_BITS, self.client_bits),
        ] {
            match bits {
                Some(Some(bits)) => write!(f, "; {name}={bits}")?,
                Some(None) => write!(f, "; {name}")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// 8 to 15 in decimal, without a leading zero (RFC 7692 7.1.2.1).
fn window_bits(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

#[cfg(test)]
mod tests;
