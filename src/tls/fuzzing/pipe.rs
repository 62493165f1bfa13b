//! Whole connections, handshake and all, over a pipe that cuts and damages as a script says.

use std::sync::LazyLock;

use crate::tls::certificates::{Certificate, Facts, certificates, private_key};
use crate::tls::dev_cert::{DevCertificate, DevRequest};
use crate::tls::sessions::{
    CLOSE_LEN_MAX, Ending, Established, SessionId, SessionLimits, Sessions, Trouble,
};
use crate::tls::{
    Choices, ClientOptions, ClientTls, Mode, Role, ServerOptions, ServerTls, Suite, Trust,
};

/// One end, as a worker is it: a receive buffer, what it has to send, what it has heard.
#[derive(Debug)]
pub struct Endpoint {
    /// Its sessions; one.
    pub sessions: Sessions,
    /// That one. A server has none before it hears something.
    pub id: Option<SessionId>,
    tls: Option<ServerTls>,
    buffer: Vec<u8>,
    /// Bytes on their way to the other end.
    pub out: Vec<u8>,
    /// What the other end said.
    pub heard: Vec<u8>,
    /// How the handshake ended.
    pub established: Option<Established>,
    /// Whether the stream goes on.
    pub ending: Ending,
}

const HEADROOM: usize = 16;
/// The longest piece an endpoint receives at once.
const PIECE_BYTES_MAX: usize = 64 << 10;

impl Endpoint {
    /// A server that waits.
    #[must_use]
    pub fn server(tls: &ServerTls) -> Self {
        Self::new(Role::Server, Some(tls.clone()))
    }

    /// A client that has said hello.
    #[must_use]
    pub fn client(tls: &ClientTls) -> Self {
        let mut end = Self::new(Role::Client, None);
        end.id = end.sessions.connect(tls, &mut end.out);
        end
    }

    fn new(role: Role, tls: Option<ServerTls>) -> Self {
        Self {
            sessions: Sessions::new(role, SessionLimits::default()),
            id: None,
            tls,
            buffer: vec![0xEE; HEADROOM + (96 << 10) + PIECE_BYTES_MAX],
            out: Vec::new(),
            heard: Vec::new(),
            established: None,
            ending: Ending::Open,
        }
    }

    /// Receives a piece, 64 KiB at most.
    pub fn receive(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if let (None, Some(tls)) = (self.id, &self.tls) {
            self.id = self.sessions.accept(tls);
        }
        let id = self.id.expect("an idle worker takes a handshake");
        let start = HEADROOM + self.sessions.pending_len(id);
        let fresh = start..start + piece.len();
        self.buffer[fresh.clone()].copy_from_slice(piece);
        let said = self.out.len();
        let received = self
            .sessions
            .receive(id, &mut self.buffer, fresh.clone(), &mut self.out);
        assert!(received.plaintext.start >= HEADROOM && received.plaintext.end <= fresh.end);
        assert!(self.out.len() >= said);
        if self.ending != Ending::Open {
            // Whatever still comes is not heard, and not answered.
            assert!(received.plaintext.is_empty() && self.out.len() == said);
            assert_ne!(received.ending, Ending::Open);
            return;
        }
        self.heard
            .extend_from_slice(&self.buffer[received.plaintext]);
        self.ending = received.ending;
        if let Some(established) = received.established {
            assert!(self.established.is_none(), "once");
            self.id = Some(established.id);
            self.established = Some(*established);
        }
    }

    /// Says something; whether it could.
    pub fn say(&mut self, pieces: &[&[u8]]) -> bool {
        let (Some(id), true) = (self.id, self.established.is_some()) else {
            return false;
        };
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut out = vec![0; length + (length / 16_000 + 2) * 128];
        let sealed = self.sessions.seal(id, pieces.iter().copied(), &mut out);
        self.out.extend_from_slice(&out[..sealed.ciphertext]);
        sealed.plaintext == length
    }

    /// Says close_notify.
    pub fn close(&mut self) {
        let Some(id) = self.id else { return };
        let mut out = [0; CLOSE_LEN_MAX];
        let length = self.sessions.close(id, &mut out);
        self.out.extend_from_slice(&out[..length]);
    }

    /// The worker is done with the connection; nothing may be left of it.
    pub fn remove(&mut self) {
        if let Some(id) = self.id.take() {
            self.sessions.remove(id);
        }
        assert!(self.sessions.is_empty());
        assert_eq!(self.sessions.handshakes(), 0);
        assert_eq!(self.sessions.tail_bytes(), 0);
    }
}

/// Two ends and what lies between them.
#[derive(Debug)]
pub struct Pipe {
    /// Who connects.
    pub client: Endpoint,
    /// Who is connected to.
    pub server: Endpoint,
    /// How many bytes arrive at once.
    pub piece_bytes: usize,
    /// The byte of what the client sends that is damaged on the way.
    pub damaged_at: Option<usize>,
    carried: usize,
}

impl Pipe {
    /// Not a byte has been carried yet.
    #[must_use]
    pub fn new(server: &ServerTls, client: &ClientTls) -> Self {
        Self {
            client: Endpoint::client(client),
            server: Endpoint::server(server),
            piece_bytes: PIECE_BYTES_MAX,
            damaged_at: None,
            carried: 0,
        }
    }

    /// Carries all there is, until nobody has anything to say.
    pub fn carry(&mut self) {
        // A handshake has three flights, a burst of KeyUpdates two.
        for _ in 0..20 {
            let mut flight = std::mem::take(&mut self.client.out);
            let damaged_at = self.damaged_at.and_then(|at| at.checked_sub(self.carried));
            if let Some(byte) = damaged_at.and_then(|at| flight.get_mut(at)) {
                *byte ^= 0x40;
            }
            self.carried += flight.len();
            for piece in flight.chunks(self.piece_bytes) {
                self.server.receive(piece);
            }
            let answer = std::mem::take(&mut self.server.out);
            for piece in answer.chunks(self.piece_bytes) {
                self.client.receive(piece);
            }
            if self.client.out.is_empty() {
                return;
            }
        }
        panic!("two ends never stop talking");
    }
}

/// Options with a certificate for localhost, the same in every call.
#[must_use]
pub fn server_options() -> ServerOptions {
    static MADE: LazyLock<DevCertificate> = LazyLock::new(|| {
        let request = DevRequest {
            days: 20_000,
            ..DevRequest::default()
        };
        DevCertificate::new(&request, 1_700_000_000).expect("localhost is a name")
    });
    ServerOptions {
        certificates: vec![certificate(&MADE)],
        ..ServerOptions::default()
    }
}

pub(crate) fn certificate(made: &DevCertificate) -> Certificate {
    let chain = certificates(made.certificate.as_bytes()).expect("our own PEM parses");
    Certificate {
        facts: Facts::of(&chain[0]).expect("our own certificate parses"),
        chain,
        key: private_key(made.key.as_bytes()).expect("our own PEM parses"),
        ocsp: None,
    }
}

/// Two honest ends over a pipe that cuts what they say as it likes, and perhaps damages one byte of
/// it; or a server alone with a stranger. Nobody panics; what is heard is what was said, up to where
/// the damage is; undamaged, all of it arrives, and both ends know that it was all.
///
/// Byte 0 chooses suite, modes and version, byte 1 the size of the pieces, bytes 2 and 3 where the
/// damage is. Then come instructions of two bytes.
pub fn tls_connection(bytes: &[u8]) {
    let &[choice, size, high, low, ref script @ ..] = bytes else {
        return;
    };
    let choices = Choices {
        mode: if choice & 4 == 0 {
            Mode::Compact
        } else {
            Mode::Rustls
        },
        tls12: choice & 8 != 0,
        suites: vec![Suite::ALL[usize::from(choice & 3) % 3]],
        post_quantum: choice & 16 != 0,
    };
    let server = ServerTls::new(&ServerOptions {
        choices: choices.clone(),
        ..server_options()
    });
    let server = server.expect("a server can be made of these");
    if choice & 32 != 0 {
        return stranger(&server, script, usize::from(size).max(1));
    }
    // With one end ours and one in rustls' hands, each is checked against the other.
    let choices = match (choice & 64, choices.mode) {
        (0, _) => choices,
        (_, Mode::Compact) => Choices {
            mode: Mode::Rustls,
            ..choices
        },
        (_, Mode::Rustls) => Choices {
            mode: Mode::Compact,
            ..choices
        },
    };
    let client = ClientTls::new(
        &ClientOptions {
            choices,
            trust: Trust::Anybody,
            ..ClientOptions::default()
        },
        "localhost",
    );
    let mut pipe = Pipe::new(&server, &client.expect("a client can be made of these"));
    pipe.piece_bytes = match size {
        0 => PIECE_BYTES_MAX,
        size => usize::from(size),
    };
    let damaged_at = usize::from(u16::from_be_bytes([high, low]));
    pipe.damaged_at = (damaged_at != 0).then_some(damaged_at);
    play(&mut pipe, script);
}

/// Any bytes, to a server.
fn stranger(tls: &ServerTls, bytes: &[u8], size: usize) {
    let mut server = Endpoint::server(tls);
    for piece in bytes.chunks(size) {
        server.receive(piece);
    }
    assert!(server.established.is_none(), "nobody guesses a Finished");
    assert_eq!(server.heard, b"");
    server.remove();
}

/// Pieces after which nothing more is said.
const PIECES_MAX: usize = 4096;

fn play(pipe: &mut Pipe, script: &[u8]) {
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    pipe.carry();
    for instruction in script.chunks_exact(2).take(64) {
        // What matters about a cut shows in a few thousand pieces.
        if to_server.len() + to_client.len() > PIECES_MAX * pipe.piece_bytes {
            break;
        }
        let (verb, amount) = (instruction[0], usize::from(instruction[1]));
        let text = vec![verb; amount * (1 + usize::from(verb >> 4) * 8)];
        let pieces: Vec<&[u8]> = text.chunks(amount.max(1)).collect();
        let (speaker, said) = match verb & 1 {
            0 => (&mut pipe.client, &mut to_server),
            _ => (&mut pipe.server, &mut to_client),
        };
        match verb & 6 {
            0 | 2 if speaker.say(&pieces) => said.extend_from_slice(&text),
            4 if let Some(id) = speaker.id => speaker.sessions.refresh(id),
            _ => {}
        }
        if verb & 8 == 0 {
            pipe.carry();
        }
    }
    pipe.client.close();
    pipe.carry();
    pipe.server.close();
    pipe.carry();
    finish(pipe, &to_server, &to_client);
}

fn finish(pipe: &mut Pipe, to_server: &[u8], to_client: &[u8]) {
    let Pipe { client, server, .. } = pipe;
    assert!(to_server.starts_with(&server.heard));
    assert!(to_client.starts_with(&client.heard));
    if pipe.damaged_at.is_none_or(|at| at >= pipe.carried) {
        assert_eq!(server.heard.len(), to_server.len());
        assert_eq!(client.heard.len(), to_client.len());
        assert_eq!(
            (client.ending, server.ending),
            (Ending::Closed, Ending::Closed)
        );
        for end in [&mut *client, server] {
            let id = end.id.expect("it was established");
            assert!(!end.sessions.is_truncated(id));
        }
    } else {
        assert_ne!(server.ending, Ending::Broken(Trouble::TooManyTails));
    }
    client.remove();
    server.remove();
}
