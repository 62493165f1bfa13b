//! Wire protocols over the one channel model: what a client's frames ask for, and how it is told.
//!
//! ```text
//!  text frame --centrifuge::Commands--> Command (borrows the frame)    -> service -> hub
//!             --chat::Request-------->  Request (borrows the frame)
//!             --raw::payload--------->  Payload
//!
//!  hub's answer  --Reply--> Batch --one text frame--> the connection that asked
//!  hub's Event   --append_push / chat::append_event / raw::append_event--> bytes, once per dialect
//!                --framed once--> every subscriber, by reference
//! ```
//!
//! Everything here is pure: no socket, clock, thread, random number or log, and no state that two
//! connections share. Whatever a peer sends becomes a value or an error, and the work for a frame is
//! bounded by its length and by a number of commands. Encoders append to a buffer of the caller's.

pub mod centrifuge;
pub mod chat;
mod farewell;
#[doc(hidden)]
pub mod fuzzing;
mod json;
pub mod raw;

pub use farewell::close;
