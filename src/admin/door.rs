//! The listener's thread: lets clients in and gives each a thread of its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::conversation::converse;
use super::guests::Guests;
use super::site::Site;
use crate::http1::append_response;
use crate::sys::ready::{self, Readiness};
use crate::sys::{AcceptFailure, Listener};

/// How often the door looks whether it is to be closed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long it rests when descriptors or memory have run out.
const REST: Duration = Duration::from_millis(200);
/// Parsing a body nests at most 128 deep, in frames of a few hundred bytes.
const STACK_BYTES: usize = 512 << 10;

/// Accepts until `is_closed`.
pub(super) fn keep(listener: &Listener, site: &Arc<Site>, is_closed: &AtomicBool) {
    while !is_closed.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok(socket) => {
                // A thread that cannot be had costs this client its connection.
                let _ = welcome(site, socket);
            }
            Err(error) => match AcceptFailure::of(&error) {
                AcceptFailure::PeerGone => {}
                AcceptFailure::Closed => return,
                AcceptFailure::Exhausted => thread::park_timeout(REST),
                AcceptFailure::Drained => wait(listener),
            },
        }
    }
}

fn wait(listener: &Listener) {
    if ready::wait(listener, Readiness::Readable, LOOK_EVERY).is_err() {
        thread::park_timeout(REST);
    }
}

fn welcome(site: &Arc<Site>, socket: crate::sys::Socket) -> io::Result<()> {
    let place = match Guests::enter(&site.guests, socket) {
        Ok(place) => place,
        Err(socket) => {
            let mut answer = Vec::new();
            let headers = [("Connection", "close"), ("Retry-After", "1")];
            append_response(&mut answer, 503, &headers, b"")
                .expect("our own headers hold no control bytes");
            // It fits an empty send buffer, or the client is unlucky.
            let _ = socket.send(&answer);
            return Ok(());
        }
    };
    let site = site.clone();
    let body = move || converse(place.guest(), &site);
    let thread = thread::Builder::new().name("admin client".to_owned());
    thread.stack_size(STACK_BYTES).spawn(body)?;
    Ok(())
}
