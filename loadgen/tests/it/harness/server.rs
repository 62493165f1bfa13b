//! A server that lives each of its connections as a story tells, one thread per connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::{PATIENCE, Wire};

/// What happens to a connection, from accept to end. The error is the client's hanging up.
type Story = dyn Fn(Wire, &Curtain) -> io::Result<()> + Send + Sync;

/// A running server; dropped, it stops.
pub(crate) struct Server {
    address: SocketAddr,
    curtain: Curtain,
    /// Disconnects once the acceptor and every connection's thread are gone.
    threads: Receiver<()>,
}

/// Falls when the server stops: what a story waits for that does nothing until then.
#[derive(Clone, Default)]
pub(crate) struct Curtain(Arc<(Mutex<bool>, Condvar)>);

impl Curtain {
    pub(crate) fn wait(&self) {
        let (fallen, changed) = &*self.0;
        let fallen = fallen.lock().unwrap();
        drop(changed.wait_while(fallen, |fallen| !*fallen).unwrap());
    }

    fn fall(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn has_fallen(&self) -> bool {
        *self.0.0.lock().unwrap()
    }
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start(
        story: impl Fn(Wire, &Curtain) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let curtain = Curtain::default();
        let (alive, threads) = channel();
        let (story, fall): (Arc<Story>, _) = (Arc::new(story), curtain.clone());
        thread::spawn(move || {
            accept(&listener, &story, &fall, &alive);
            // In this order: who hears that all are gone may take back what the story had borrowed.
            drop(story);
            drop(alive);
        });
        Self {
            address,
            curtain,
            threads,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/echo", self.address)
    }

    /// Stops accepting and waits until every story has ended: from then on its log is complete. The
    /// generator must be gone, or the stories never end.
    pub(crate) fn finish(self) {
        self.stop();
        let end = self.threads.recv_timeout(PATIENCE);
        assert_eq!(
            end,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected),
            "a connection outlived the generator"
        );
    }

    fn stop(&self) {
        self.curtain.fall();
        // Wakes the acceptor, which then looks at the curtain; when it is gone already, so be it.
        TcpStream::connect(self.address).ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, story: &Arc<Story>, curtain: &Curtain, alive: &Sender<()>) {
    while let Ok((stream, _)) = listener.accept() {
        if curtain.has_fallen() {
            return;
        }
        let (story, curtain, alive) = (Arc::clone(story), curtain.clone(), alive.clone());
        thread::spawn(move || {
            // How a story ends is the client's affair; what it counted until then is what matters.
            Wire::new(stream)
                .and_then(|wire| story(wire, &curtain))
                .ok();
            drop(story);
            drop(alive);
        });
    }
}
