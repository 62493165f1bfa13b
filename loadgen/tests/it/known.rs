//! Is it truthful? Servers of known behaviour keep their own log; the report must say the same.
//!
//! Where a time is compared, the server's measurement of itself is the truth, and what this machine adds
//! in this minute is measured too: no bound here depends on the machine being idle.

mod books;
mod rooms;
mod starved;
mod times;
