//! The admin port: HTTP API, metrics and health, on a listener and threads of its own.
//!
//! ```text
//!  door (1 thread) ──> guests (<= 64) ──> conversation (a thread each) ──> site ──> api ──> Backend
//!                                                                            └────> metrics, health <── Host
//! ```
//!
//! It never touches a worker: what it wants of the server it asks of a [`Host`], what it wants of
//! channels and users of a [`Backend`]. Threads and not a loop, because there are few clients, their
//! calls wait for workers, and a client that hangs should hang by itself.

mod api;
mod backend;
mod conversation;
mod door;
mod exposition;
mod glob;
mod guests;
mod host;
mod key;
mod site;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

pub use backend::{
    Absent, Backend, CALL_MS_MAX, Connected, Failure, Publish, Reply, Request, Subscribe, Totals,
    Whom,
};
pub use exposition::{Exposition, Family, Kind};
pub use glob::{BadPattern, Glob};
pub use host::{Host, Vitals};
pub use key::{ApiKey, KeyError, is_open_to_all};

use self::api::Api;
use self::site::Site;
use crate::sys::{Address, Endpoint, random};

/// A running admin port; dropped, it lets nobody new in.
#[derive(Debug)]
pub struct Admin {
    endpoint: Endpoint,
    is_closed: Arc<AtomicBool>,
}

impl Admin {
    /// Opens the port. Without a `key` there is everything but the API.
    pub fn open(
        endpoint: Endpoint,
        key: Option<ApiKey>,
        host: Arc<dyn Host>,
        backend: Arc<dyn Backend>,
    ) -> io::Result<Self> {
        let listener = endpoint.listen()?;
        let mut uid = [0; 16];
        random::fill(&mut uid)?;
        let uid = format!("{:032x}", u128::from_ne_bytes(uid));
        let site = Arc::new(Site {
            api: Api::new(backend, host.clone(), uid),
            host,
            key,
            guests: Arc::default(),
            answers: Default::default(),
        });
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = is_closed.clone();
        let keep = move || door::keep(&listener, &site, &closed);
        thread::Builder::new()
            .name("admin".to_owned())
            .spawn(keep)?;
        Ok(Self {
            endpoint,
            is_closed,
        })
    }

    /// Where it is, with its port resolved.
    pub fn address(&self) -> &Address {
        self.endpoint.address()
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}
