//! A TLS echo on blocking sockets, a thread per connection: the library's TLS without the reactor.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use throng::tls::sessions::{
    CLOSE_LEN_MAX, Ending, Established, SessionId, SessionLimits, Sessions,
};
use throng::tls::{ClientTls, Introduction, Role, ServerTls, Suite};

const HEADROOM: usize = 16;
const BUFFER_BYTES: usize = 256 << 10;

use super::PATIENCE;

/// One end of a connection.
pub(crate) struct TlsStream {
    stream: TcpStream,
    sessions: Sessions,
    id: Option<SessionId>,
    server: Option<ServerTls>,
    buffer: Vec<u8>,
    /// Heard, and not yet read.
    unread: Vec<u8>,
    pub(crate) established: Option<Established>,
    pub(crate) ending: Ending,
    /// The stream ended, and nobody had said it would.
    pub(crate) is_truncated: bool,
}

impl TlsStream {
    fn new(stream: TcpStream, role: Role, server: Option<ServerTls>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            sessions: Sessions::new(role, SessionLimits::default()),
            id: None,
            server,
            buffer: vec![0; BUFFER_BYTES],
            unread: Vec::new(),
            established: None,
            ending: Ending::Open,
            is_truncated: false,
        }
    }

    pub(crate) fn accepted(stream: TcpStream, tls: &ServerTls) -> Self {
        Self::new(stream, Role::Server, Some(tls.clone()))
    }

    /// Connects and shakes hands.
    pub(crate) fn connect(address: SocketAddr, tls: &ClientTls) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        let mut this = Self::new(stream, Role::Client, None);
        let mut out = Vec::new();
        this.id = this.sessions.connect(tls, &mut out);
        this.stream.write_all(&out).unwrap();
        while this.established.is_none() && this.ending == Ending::Open && !this.is_truncated {
            assert_eq!(this.receive(), b"", "a server waits for its client");
        }
        this
    }

    /// Reads once; what the peer said.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let pending = self.id.map_or(0, |id| self.sessions.pending_len(id));
        let start = HEADROOM + pending;
        // A reset is an end, too: whoever closes with bytes unread sends one.
        let length = match self.stream.read(&mut self.buffer[start..]) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            result => result.expect("the peer says something within its time"),
        };
        if length == 0 {
            self.is_truncated = self.id.is_none_or(|id| self.sessions.is_truncated(id));
            return Vec::new();
        }
        if let (None, Some(tls)) = (self.id, &self.server) {
            self.id = self.sessions.accept(tls);
        }
        let (id, mut out) = (self.id.unwrap(), Vec::new());
        let fresh = start..start + length;
        let received = self.sessions.receive(id, &mut self.buffer, fresh, &mut out);
        // A peer that was refused may be gone already.
        let _ = self.stream.write_all(&out);
        self.ending = received.ending;
        if let Some(established) = received.established {
            self.id = Some(established.id);
            self.established = Some(*established);
        }
        self.buffer[received.plaintext].to_vec()
    }

    /// Reads until so many bytes were said.
    pub(crate) fn receive_exact(&mut self, length: usize) -> Vec<u8> {
        let mut said = Vec::new();
        while said.len() < length && self.ending == Ending::Open && !self.is_truncated {
            said.extend(self.receive());
        }
        said
    }

    pub(crate) fn say(&mut self, mut text: &[u8]) {
        let mut out = [0; 40_000];
        loop {
            let id = self.id.unwrap();
            let sealed = self.sessions.seal(id, [text], &mut out);
            self.stream.write_all(&out[..sealed.ciphertext]).unwrap();
            text = &text[sealed.plaintext..];
            if text.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn refresh(&mut self) {
        self.sessions.refresh(self.id.unwrap());
    }

    /// Says close_notify and that nothing follows.
    pub(crate) fn close(&mut self) {
        let mut out = [0; CLOSE_LEN_MAX];
        let length = self.id.map_or(0, |id| self.sessions.close(id, &mut out));
        let _ = self.stream.write_all(&out[..length]);
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    pub(crate) fn introduction(&self) -> Option<&Introduction> {
        self.established.as_ref().map(|done| &done.introduction)
    }

    /// The suite, if the compact record layer has it.
    pub(crate) fn compact_suite(&self) -> Option<Suite> {
        self.sessions.compact_suite(self.id?)
    }
}

impl Read for TlsStream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.unread.is_empty() && self.ending == Ending::Open && !self.is_truncated {
            self.unread = self.receive();
        }
        let length = into.len().min(self.unread.len());
        into[..length].copy_from_slice(&self.unread[..length]);
        self.unread.drain(..length);
        Ok(length)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.say(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What became of a connection to [`TlsEcho`].
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) introduction: Option<Introduction>,
    pub(crate) compact_suite: Option<Suite>,
    pub(crate) echoed: usize,
    pub(crate) ending: Ending,
    pub(crate) is_truncated: bool,
}

/// Sends back what it hears, on any number of connections.
pub(crate) struct TlsEcho {
    pub(crate) address: SocketAddr,
    reports: Receiver<Report>,
}

impl TlsEcho {
    pub(crate) fn start(tls: ServerTls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (done, reports) = channel();
        // It ends with the test process: nobody waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (tls, done) = (tls.clone(), done.clone());
                std::thread::spawn(move || echo(TlsStream::accepted(stream.unwrap(), &tls), &done));
            }
        });
        Self { address, reports }
    }

    /// What became of the connection that ended next.
    pub(crate) fn report(&self) -> Report {
        self.reports
            .recv_timeout(PATIENCE)
            .expect("a connection ends within its time")
    }
}

fn echo(mut stream: TlsStream, done: &Sender<Report>) {
    let mut echoed = 0;
    while stream.ending == Ending::Open && !stream.is_truncated {
        let said = stream.receive();
        if !said.is_empty() {
            // Our keys change, too, now and then.
            if said.contains(&b'~') {
                stream.refresh();
            }
            stream.say(&said);
            echoed += said.len();
        }
    }
    stream.close();
    let report = Report {
        introduction: stream.introduction().cloned(),
        compact_suite: stream.compact_suite(),
        echoed,
        ending: stream.ending,
        is_truncated: stream.is_truncated,
    };
    // The test may have seen enough.
    let _ = done.send(report);
}
