//! HTTP/1.1 heads, and nothing else of HTTP: what an opening handshake and a small admin page need.
//!
//! A leaf: bytes in, a borrowed [`Head`] out; no IO, no clock, nothing of ours below it. The grammar
//! is [`httparse`]'s. What stands here is the strictness it leaves to its caller, because each of
//! these has been somebody's security advisory: bare line feeds, control bytes, a second `Host`,
//! lengths that can be read two ways, targets a router and a proxy would read differently, and heads
//! that arrive byte by byte (the search resumes where it stopped, so their cost stays linear).
//!
//! Absent on purpose: bodies (nobody here reads one), chunked coding, keep-alive policy, HTTP/2.

mod bytes;
mod error;
mod fields;
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod list;
mod response;
mod scan;
mod target;

pub use error::HeadError;
pub use fields::Headers;
pub(crate) use fields::{Known, Once};
pub use head::{HEADERS_MAX, Head, ResponseHead, parse_head, parse_response_head};
pub use list::{has_token, is_token, list};
pub(crate) use response::append_request_head;
pub use response::{InvalidHeader, append_response, reason};
pub use target::TARGET_BYTES_MAX;

#[cfg(test)]
mod tests;
