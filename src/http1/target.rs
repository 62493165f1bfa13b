//! The request target: which path and query a request means.

use super::HeadError;
use super::bytes::Class;

/// The longest target accepted. RFC 9112 3 asks for at least 8000 bytes of request line, and a
/// token in a query (the usual way to authenticate a WebSocket) stays far below it.
pub const TARGET_BYTES_MAX: usize = 8192;

/// A target taken apart: the part a router looks at, and the authority if the target names one.
pub(super) struct Target<'b> {
    pub(super) origin_form: &'b str,
    pub(super) authority: Option<&'b str>,
}

/// Reads origin-form, absolute-form (RFC 9112 3.2.2 obliges servers to accept it; a client behind a
/// plain proxy sends it) and `*` for OPTIONS. The authority-form of CONNECT has no use here.
pub(super) fn parse_target<'b>(method: &str, target: &'b str) -> Result<Target<'b>, HeadError> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(HeadError::TargetTooLong);
    }
    if !Class::TARGET.holds(target) {
        return Err(HeadError::Target);
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(Target {
            origin_form: target,
            authority: None,
        });
    }
    let (scheme, rest) = target.split_once("://").ok_or(HeadError::Target)?;
    if !["http", "https", "ws", "wss"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err(HeadError::Target);
    }
    let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, origin_form) = rest.split_at(authority_len);
    if !is_host(authority) {
        return Err(HeadError::Target);
    }
    Ok(Target {
        origin_form,
        authority: Some(authority),
    })
}

/// Whether `host` may stand in `Host`: a name, an IPv4 or a bracketed IPv6 address, perhaps a port.
///
/// Characters are checked, not the grammar: a name that resolves to nothing is not our business, a
/// name that breaks a log line or an allow-list is. Userinfo (`@`) is refused for the same reason.
pub(super) fn is_host(host: &str) -> bool {
    !host.is_empty() && Class::HOST.holds(host)
}
