//! Turning rustls' crank: input, output and states of its unbuffered connections.
//!
//! rustls says one thing at a time, and wants it dealt with before it says the next: bytes to send, bytes
//! that arrived, a state. Two of its traps are sprung here: what it answers to a KeyUpdate stays
//! with it until something is written, and after an error its alert is there only for who asks again.

use rustls::Error;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};

use super::Stage;

pub(super) type Written = Result<usize, EncryptError>;

/// What [`WriteTraffic`] of either end can do.
pub(super) trait Writes {
    fn encrypt(&mut self, plain: &[u8], out: &mut [u8]) -> Written;
    fn queue_close_notify(&mut self, out: &mut [u8]) -> Written;
}

impl<Data> Writes for WriteTraffic<'_, Data> {
    fn encrypt(&mut self, plain: &[u8], out: &mut [u8]) -> Written {
        WriteTraffic::encrypt(self, plain, out)
    }

    fn queue_close_notify(&mut self, out: &mut [u8]) -> Written {
        WriteTraffic::queue_close_notify(self, out)
    }
}

/// What both ends have in common, which rustls has as two functions of one name.
pub(super) trait Process {
    type Data;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn is_ready(&self) -> bool;

    /// Whether records lie ready.
    fn has_to_send(&self) -> bool;
}

impl Process for UnbufferedServerConnection {
    type Data = rustls::server::ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }

    fn is_ready(&self) -> bool {
        !self.is_handshaking()
    }

    fn has_to_send(&self) -> bool {
        self.wants_write()
    }
}

impl Process for UnbufferedClientConnection {
    type Data = rustls::client::ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }

    fn is_ready(&self) -> bool {
        !self.is_handshaking()
    }

    fn has_to_send(&self) -> bool {
        self.wants_write()
    }
}

/// Lets `connection` work through `bytes` until it wants more; `used` counts those it is done with.
pub(super) fn run<C: Process>(
    connection: &mut C,
    bytes: &mut [u8],
    used: &mut usize,
    out: &mut Vec<u8>,
    plain: &mut Vec<u8>,
) -> Result<Stage, Error> {
    let mut is_settled = false;
    // Each round consumes input, output or one of two states, so this is a bound never met.
    for _ in 0..16 + 2 * bytes.len() {
        let is_ready = connection.is_ready();
        let UnbufferedStatus { discard, state } = connection.process(&mut bytes[*used..]);
        *used += discard;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    *used += record.discard;
                    plain.extend_from_slice(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(encode)) => append(encode, out)?,
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(ConnectionState::BlockedHandshake) => return Ok(Stage::Handshaking),
            // rustls holds its answer to a KeyUpdate back until something is written. This write
            // does not fit anywhere, but it lets the answer go.
            Ok(ConnectionState::WriteTraffic(mut traffic)) if !is_settled => {
                let _ = traffic.encrypt(&[0], &mut []);
                is_settled = true;
            }
            Ok(ConnectionState::WriteTraffic(_)) if is_ready => return Ok(Stage::Ready),
            Ok(ConnectionState::WriteTraffic(_)) => return Ok(Stage::Handshaking),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                *used = bytes.len(); // what follows is ignored
                return Ok(Stage::Closed);
            }
            Ok(_) => return Err(Error::HandshakeNotComplete),
            Err(error) => {
                say_alert(connection, &mut bytes[*used..], out);
                return Err(error);
            }
        }
    }
    Err(Error::HandshakeNotComplete)
}

/// After an error, rustls has its alert ready, behind what it had to say before. It remembers places in
/// what is left of the input, and panics if that is gone; and it panics if it is to say a second alert,
/// which is why nobody asks again when there is no more.
fn say_alert<C: Process>(connection: &mut C, rest: &mut [u8], out: &mut Vec<u8>) {
    while connection.has_to_send() {
        let Ok(ConnectionState::EncodeTlsData(encode)) = connection.process(rest).state else {
            return;
        };
        // If it cannot be encoded, the peer hears no reason.
        let _ = append(encode, out);
    }
}

fn append<Data>(mut encode: EncodeTlsData<'_, Data>, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    if let Err(EncodeError::InsufficientSize(error)) = encode.encode(&mut []) {
        out.resize(start + error.required_size, 0);
        encode
            .encode(&mut out[start..])
            .map_err(|_| Error::EncryptError)?;
    }
    Ok(())
}

/// Drives `connection` to where it writes. What it owes before that goes in front.
pub(super) fn write_to<C: Process>(
    connection: &mut C,
    held: &mut [u8],
    owes_refresh: &mut bool,
    out: &mut [u8],
    write: impl FnOnce(&mut dyn Writes, &mut [u8]) -> Written,
) -> usize {
    let mut filled = 0;
    for _ in 0..OWED_RECORDS_MAX {
        // `receive` worked through `held`: nothing in it is discarded by looking again.
        match connection.process(held).state {
            Ok(ConnectionState::EncodeTlsData(mut encode)) => {
                let encoded = encode.encode(&mut out[filled..]);
                filled += encoded.expect("there is room for what may be owed");
            }
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(ConnectionState::PeerClosed) => {}
            Ok(ConnectionState::WriteTraffic(traffic)) if *owes_refresh => {
                *owes_refresh = false;
                // It can only refuse because of a close: then there is nothing to change for.
                let _ = traffic.refresh_traffic_keys();
            }
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                return filled + write(&mut traffic, &mut out[filled..]).unwrap_or(0);
            }
            _ => return filled,
        }
    }
    filled
}

/// A KeyUpdate or two, sent and done, a close noticed, and then the traffic.
const OWED_RECORDS_MAX: usize = 8;
