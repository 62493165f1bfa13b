//! From rustls to the compact record layer: what has to be known to go on without it.
//!
//! rustls gives out keys and IVs, but not the traffic secrets that the next keys come from. Those it
//! shows to a key log, once, while it derives them; here the log is a slot of the running thread,
//! filled and emptied around each call. What was caught is checked against the keys that were given
//! out, so a secret of another connection could never be used. The name that a client asks for goes
//! the same way: only who chooses the certificate is told.

use std::cell::Cell;
use std::fmt;

use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets, KeyLog};
use zeroize::Zeroize;

use crate::tls::suite::{IV_LEN, SECRET_LEN_MAX};
use crate::tls::{Half, Suite};

/// What rustls shows of a connection only while it works. Boxed, so that handing it on leaves no
/// copies of secrets behind.
#[derive(Default)]
pub(super) struct Caught {
    /// Whether the secrets are wanted: not if rustls keeps the connection.
    wants_secrets: bool,
    pub(super) server_name: Option<String>,
    client: Secret,
    server: Secret,
}

impl Caught {
    pub(super) fn new(wants_secrets: bool) -> Self {
        Self {
            wants_secrets,
            ..Self::default()
        }
    }
}

/// A traffic secret, overwritten when it is dropped.
#[derive(Clone)]
struct Secret {
    bytes: [u8; SECRET_LEN_MAX],
    len: usize,
}

impl Default for Secret {
    fn default() -> Self {
        Self {
            bytes: [0; SECRET_LEN_MAX],
            len: 0,
        }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

thread_local! {
    static SLOT: Cell<Option<Box<Caught>>> = const { Cell::new(None) };
}

/// The key log of every configuration.
#[derive(Debug)]
pub(super) struct Catch;

impl Catch {
    /// Runs `work`, during which all there is to catch goes to `caught`.
    pub(super) fn during<T>(caught: &mut Option<Box<Caught>>, work: impl FnOnce() -> T) -> T {
        SLOT.set(caught.take());
        let result = work();
        *caught = SLOT.take();
        result
    }

    /// Notes the name that a client asks for.
    pub(super) fn server_name(name: Option<&str>) {
        Self::with(|caught| caught.server_name = name.map(str::to_owned));
    }

    fn with<T>(look: impl FnOnce(&mut Caught) -> T) -> Option<T> {
        let mut caught = SLOT.take()?;
        let result = look(&mut caught);
        SLOT.set(Some(caught));
        Some(result)
    }
}

impl KeyLog for Catch {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        Self::with(|caught| {
            let place = match label {
                CLIENT_LABEL => &mut caught.client,
                _ => &mut caught.server,
            };
            if let Some(bytes) = place.bytes.get_mut(..secret.len()) {
                bytes.copy_from_slice(secret);
                place.len = secret.len();
            }
        });
    }

    fn will_log(&self, label: &str) -> bool {
        let is_wanted = label == CLIENT_LABEL || label == SERVER_LABEL;
        is_wanted && Self::with(|caught| caught.wants_secrets) == Some(true)
    }
}

const CLIENT_LABEL: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER_LABEL: &str = "SERVER_TRAFFIC_SECRET_0";

/// All that is left of a handshake.
pub(in crate::tls) struct Handover {
    pub(in crate::tls) suite: Suite,
    read: (Secret, u64),
    write: (Secret, u64),
}

impl Handover {
    /// Puts together what rustls gives out and what was caught. `None` if they do not belong
    /// together.
    pub(super) fn new(
        extracted: &ExtractedSecrets,
        caught: &Caught,
        is_server: bool,
    ) -> Option<Self> {
        let (read, write) = if is_server {
            (&caught.client, &caught.server)
        } else {
            (&caught.server, &caught.client)
        };
        let (rx, tx) = (&extracted.rx, &extracted.tx);
        Some(Self {
            suite: keys_of(&rx.1)?.0,
            read: (secret_behind(&rx.1, read)?, rx.0),
            write: (secret_behind(&tx.1, write)?, tx.0),
        })
    }

    pub(in crate::tls) fn read(&self) -> Half<'_> {
        half(&self.read)
    }

    pub(in crate::tls) fn write(&self) -> Half<'_> {
        half(&self.write)
    }
}

fn half((secret, sequence): &(Secret, u64)) -> Half<'_> {
    Half {
        secret: &secret.bytes[..secret.len],
        sequence: *sequence,
    }
}

/// The secret from which these keys come: the caught one, or a later one if the peer changed its
/// keys in the very flight that ended the handshake.
fn secret_behind(given: &ConnectionTrafficSecrets, caught: &Secret) -> Option<Secret> {
    let (suite, key, iv) = keys_of(given)?;
    if caught.len != suite.secret_len() {
        return None;
    }
    let mut secret = caught.clone();
    for _ in 0..=UPDATES_MAX {
        let (mut derived, mut derived_iv) = ([0; 32], [0; IV_LEN]);
        let bytes = &mut secret.bytes[..secret.len];
        let derived_key = &mut derived[..key.len()];
        suite.derive_traffic_keys(bytes, derived_key, &mut derived_iv);
        let is_it = *derived_key == *key && derived_iv[..] == *iv;
        derived.zeroize();
        if is_it {
            return Some(secret);
        }
        suite.advance_secret(bytes);
    }
    None
}

/// What rustls allows a peer without application bytes in between.
const UPDATES_MAX: usize = 32;

fn keys_of(secrets: &ConnectionTrafficSecrets) -> Option<(Suite, &[u8], &[u8])> {
    use ConnectionTrafficSecrets as Given;
    let (suite, key, iv) = match secrets {
        Given::Aes128Gcm { key, iv } => (Suite::Aes128Gcm, key, iv),
        Given::Aes256Gcm { key, iv } => (Suite::Aes256Gcm, key, iv),
        Given::Chacha20Poly1305 { key, iv } => (Suite::Chacha20Poly1305, key, iv),
        _ => return None,
    };
    let key = key.as_ref().get(..suite.key_len())?;
    Some((suite, key, iv.as_ref()))
}

/// What a client needs to understand the ticket that comes after the handshake.
pub(in crate::tls) struct TicketSink(pub(super) KernelConnection<ClientConnectionData>);

impl TicketSink {
    /// Keeps a ticket for the next connection to the same server. One that makes no sense is not
    /// worth an alert: it costs a resumption.
    pub(in crate::tls) fn hear(&mut self, ticket: &[u8]) {
        let _ = self.0.handle_new_session_ticket(ticket);
    }
}

impl fmt::Debug for TicketSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSink")
    }
}
