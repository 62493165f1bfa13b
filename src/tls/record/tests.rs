//! The record layer against RFC 8448, against itself in pieces, and against peers that break it.

use proptest::prelude::*;

use super::*;
use crate::tls::fuzzing::{Pair, Receiver};
use crate::tls::keys::tests::{CLIENT_SECRET, SERVER_SECRET, hex};
use crate::tls::keys::{Half, SEQUENCE_END};
use crate::tls::{Fault, Role, Suite};

/// What a peer with the right keys sends, and what becomes of it.
struct Wire {
    pair: Pair,
    wire: Vec<u8>,
}

impl Wire {
    fn new(suite: Suite) -> Self {
        let (pair, wire) = (Pair::new(suite), Vec::new());
        Self { pair, wire }
    }

    /// The client seals any inner plaintext.
    fn inner(mut self, inner: &[u8]) -> Self {
        let mut out = vec![0; inner.len() + OVERHEAD];
        let (store, id) = &mut self.pair.client;
        let length = store.seal_inner(*id, inner, &mut out);
        self.wire.extend_from_slice(&out[..length]);
        self
    }

    fn app(self, text: &str) -> Self {
        self.inner(&[text.as_bytes(), &[APPLICATION]].concat())
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.wire.extend_from_slice(bytes);
        self
    }

    /// The client moves on to its next key without saying so.
    fn switch(mut self) -> Self {
        let (store, id) = &mut self.pair.client;
        let suite = id.suite();
        store.keys(*id).write.update(suite);
        self
    }

    /// The server reads it all, at once.
    fn read(mut self) -> (String, End, Pair) {
        let mut receiver = Receiver::default();
        let (store, id) = &mut self.pair.server;
        receiver.receive(store, *id, &self.wire);
        let text = String::from_utf8(receiver.plaintext).unwrap();
        (text, receiver.end, self.pair)
    }

    #[track_caller]
    fn breaks(self, fault: Fault) {
        let (text, end, mut pair) = self.read();
        assert_eq!((text.as_str(), end), ("before", End::Broken(fault)));
        // Whatever follows, however honest, is not opened any more.
        let mut out = [0; 128];
        let (store, id) = &mut pair.client;
        let sealed = store.seal(*id, [&b"after"[..]], &mut out);
        let mut receiver = Receiver::default();
        let (store, id) = &mut pair.server;
        receiver.receive(store, *id, &out[..sealed.ciphertext]);
        assert_eq!(receiver.plaintext, b"");
    }
}

fn before() -> Wire {
    Wire::new(Suite::Aes128Gcm).app("before")
}

/// A record header and so many zeros.
fn blank(kind: u8, length: u16) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let mut record = vec![kind, 3, 3, high, low];
    record.resize(HEADER_LEN + usize::from(length), 0);
    record
}

#[test]
fn records_are_those_of_rfc_8448() {
    let (client, server) = (hex(CLIENT_SECRET), hex(SERVER_SECRET));
    let half = |secret, sequence| Half { secret, sequence };
    let mut store = KeyStore::new(Role::Client);
    // The server has sent its ticket, record 0, when the client speaks.
    let id = store
        .insert(Suite::Aes128Gcm, &half(&server, 1), &half(&client, 0))
        .unwrap();
    let payload: Vec<u8> = (0..50).collect();
    let mut out = [0; 256];
    let sealed = store.seal(id, [&payload[..]], &mut out);
    let expected = hex(
        "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a\
         20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
    );
    assert_eq!(out[..sealed.ciphertext], expected);
    assert_eq!(sealed.plaintext, 50);

    let mut answer = hex(
        "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb\
         501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d",
    );
    let length = answer.len();
    let opened = store.open(id, &mut answer, 0..length, |_| {});
    assert_eq!(opened.end, End::Open);
    assert_eq!(answer[opened.plaintext], payload);

    let goodbye = hex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3");
    let length = store.alert(id, CLOSE_NOTIFY, &mut out);
    assert_eq!(out[..length], goodbye);
    let mut theirs = hex("1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9");
    let length = theirs.len();
    let opened = store.open(id, &mut theirs, 0..length, |_| {});
    assert_eq!(opened.end, End::Closed);
    assert!(store.has_heard_close(id));
}

#[test]
fn a_burst_becomes_as_few_records_as_it_can() {
    let big = vec![7u8; 3 * PLAINTEXT_BYTES_MAX + 1];
    let cases: [(Vec<&[u8]>, usize); 6] = [
        (vec![], 0),
        (vec![b"", b""], 0),
        (vec![b"one"], 1),
        (vec![b"one", b"", b"two", b"three"], 1),
        (vec![&big[..PLAINTEXT_BYTES_MAX]], 1),
        (vec![b"x", &big, b"y"], 4),
    ];
    for (pieces, records) in cases {
        let mut wire = Wire::new(Suite::Chacha20Poly1305);
        let mut out = vec![0; 80_000];
        let (store, id) = &mut wire.pair.client;
        let sealed = store.seal(*id, pieces.iter().copied(), &mut out);
        let all = pieces.concat();
        assert_eq!(sealed.plaintext, all.len());
        assert_eq!(sealed.ciphertext, all.len() + records * OVERHEAD);
        let (store, id) = &mut wire.pair.server;
        let opened = store.open(*id, &mut out, 0..sealed.ciphertext, |_| {});
        assert!(out[opened.plaintext] == all);
    }
}

#[test]
fn no_more_is_sealed_than_there_is_room_for() {
    let payload = [9u8; 1000];
    for room in 0..200 {
        let mut wire = Wire::new(Suite::Aes128Gcm);
        let mut out = vec![0; room];
        let (store, id) = &mut wire.pair.client;
        let sealed = store.seal(*id, [&payload[..]], &mut out);
        assert_eq!(sealed.plaintext, room.saturating_sub(OVERHEAD));
        let alert = store.alert(*id, 0, &mut out[sealed.ciphertext..]);
        assert_eq!(alert, 0, "there is no room left");
        assert!(!store.has_said_close(*id));
    }
}

#[test]
fn a_ciphertext_says_how_long_its_tail_is_without_a_key() {
    let (text, end, _) = before().raw(&blank(APPLICATION, 100)[..50]).read();
    assert_eq!((text.as_str(), end), ("before", End::Open));
}

#[test]
fn damage_breaks_the_stream_where_it_is() {
    let whole = before().app("more").wire;
    let first = before().wire.len();
    for at in first..whole.len() {
        for bit in [1, 0x80] {
            let mut wire = before();
            wire.wire = whole.clone();
            wire.wire[at] ^= bit;
            let (text, end, _) = wire.read();
            assert_eq!(text, "before");
            // A length that grew is a record that never ends.
            let is_longer = (at == first + 3 || at == first + 4) && end == End::Open;
            assert!(is_longer || matches!(end, End::Broken(_)), "{at}: {end:?}");
        }
    }
}

#[test]
fn every_obligation_has_its_fault() {
    let long = |content: usize| [vec![b'x'; content], vec![APPLICATION]].concat();
    let forged = blank(APPLICATION, 40);
    before().raw(&forged).breaks(Fault::BadMac);
    before().raw(&blank(APPLICATION, 16)).breaks(Fault::BadMac);
    before()
        .raw(&blank(APPLICATION, 16_641)[..HEADER_LEN])
        .breaks(Fault::RecordOverflow);
    before()
        .inner(&long(PLAINTEXT_BYTES_MAX + 1))
        .breaks(Fault::RecordOverflow);
    before()
        .inner(&[&b"x"[..], &[APPLICATION], &[0; PLAINTEXT_BYTES_MAX]].concat())
        .breaks(Fault::RecordOverflow);
    // A plaintext alert, a change_cipher_spec, a ClientHello: a renegotiation begins like this.
    for kind in [ALERT, 20, HANDSHAKE, b'G', 0] {
        before().raw(&[kind]).breaks(Fault::NotProtected);
    }
    before().inner(&[0; 40]).breaks(Fault::InnerType);
    before().inner(&[0]).breaks(Fault::InnerType);
    before().inner(&[1, 20]).breaks(Fault::InnerType);
    before().inner(&[1, 24]).breaks(Fault::InnerType);
    before().inner(&[HANDSHAKE]).breaks(Fault::HandshakeMessage);
    for message in [
        &[1, 0, 0, 0][..],      // a ClientHello
        &[13, 0, 0, 0],         // a CertificateRequest
        &[4, 0, 0, 1, 9],       // a ticket, for a server
        &[KEY_UPDATE, 0, 0],    // pieces
        &[KEY_UPDATE, 0, 0, 1], //
        &[KEY_UPDATE, 0, 1, 1, 0],
    ] {
        before()
            .inner(&[message, &[HANDSHAKE]].concat())
            .breaks(Fault::HandshakeMessage);
    }
    before()
        .inner(&[KEY_UPDATE, 0, 0, 1, 0, KEY_UPDATE, HANDSHAKE])
        .breaks(Fault::KeyUpdateNotLast);
    before()
        .inner(&[KEY_UPDATE, 0, 0, 1, 2, HANDSHAKE])
        .breaks(Fault::KeyUpdateValue);
    before()
        .inner(&[KEY_UPDATE, 0, 0, 0, HANDSHAKE])
        .breaks(Fault::Malformed);
    for alert in [&[2][..], &[2, 20, 0], &[]] {
        before()
            .inner(&[alert, &[ALERT]].concat())
            .breaks(Fault::Malformed);
    }
    before().inner(&[1, 42, ALERT]).breaks(Fault::PeerAlert(42));
}

#[test]
fn the_longest_record_and_any_padding_are_fine() {
    let text = "x".repeat(PLAINTEXT_BYTES_MAX);
    assert_eq!(before().app(&text).read().1, End::Open);
    let padded = [b"padded", &[APPLICATION][..], &[0; 300]].concat();
    let (text, end, _) = before().inner(&padded).read();
    assert_eq!((text.as_str(), end), ("beforepadded", End::Open));
}

#[test]
fn storms_of_nothing_end_the_connection() {
    let empty: &[u8] = &[APPLICATION];
    let canceled: &[u8] = &[1, USER_CANCELED, ALERT];
    let update: &[u8] = &[KEY_UPDATE, 0, 0, 1, 0, HANDSHAKE];
    for (inner, is_update) in [(empty, false), (canceled, false), (update, true)] {
        let storm = |wire: Wire, count: usize| {
            (0..count).fold(wire, |wire, _| {
                let wire = wire.inner(inner);
                if is_update { wire.switch() } else { wire }
            })
        };
        storm(before(), 33).breaks(Fault::TooManyBarren);
        // A byte between them, and all is well.
        let (text, end, _) = storm(storm(before(), 32).app("+"), 32).read();
        assert_eq!((text.as_str(), end), ("before+", End::Open));
    }
}

#[test]
fn close_notify_ends_the_stream_and_what_follows_is_ignored() {
    let wire = before().inner(&[1, CLOSE_NOTIFY, ALERT]).app("after");
    let (text, end, mut pair) = wire.raw(b"GET / HTTP/1.1").read();
    assert_eq!((text.as_str(), end), ("before", End::Closed));
    let (store, id) = &mut pair.server;
    assert!(store.has_heard_close(*id));
    // Half-closed: we may still speak, until we say it, too.
    let mut out = [0; 256];
    let sealed = store.seal(*id, [&b"bye"[..]], &mut out);
    assert_eq!(sealed.plaintext, 3);
    let length = store.alert(*id, CLOSE_NOTIFY, &mut out[sealed.ciphertext..]);
    assert_eq!(length, ALERT_RECORD_LEN);
    assert_eq!(store.alert(*id, 20, &mut out[100..]), 0, "once");
    assert_eq!(
        store.seal(*id, [&b"x"[..]], &mut out[100..]),
        Sealed::default()
    );
    let (client, id) = &mut pair.client;
    let opened = client.open(*id, &mut out, 0..sealed.ciphertext + length, |_| {});
    assert_eq!(opened.end, End::Closed);
    assert_eq!(&out[opened.plaintext], b"bye");
}

/// Sends `text` from one end to the other.
fn send(from: &mut (KeyStore, KeyId), to: &mut (KeyStore, KeyId), text: &[u8]) -> Opened {
    let mut out = [0; 256];
    let sealed = from.0.seal(from.1, [text], &mut out);
    let opened = to.0.open(to.1, &mut out, 0..sealed.ciphertext, |_| {});
    assert_eq!(&out[opened.plaintext.clone()], text);
    assert_eq!(opened.end, End::Open);
    opened
}

#[test]
fn keys_are_updated_both_ways_and_answered_once() {
    for suite in Suite::ALL {
        let Pair {
            mut client,
            mut server,
        } = Pair::new(suite);
        for round in 0..5 {
            assert!(!send(&mut client, &mut server, b"to the server").owes_reply);
            client.0.refresh(client.1);
            client.0.refresh(client.1);
            assert!(send(&mut client, &mut server, b"").owes_reply, "{round}");
            assert!(send(&mut client, &mut server, b"before it answers").owes_reply);
            assert!(!send(&mut server, &mut client, b"").owes_reply);
            let sequence = server.0.keys(server.1).write.word.sequence();
            assert_eq!(sequence, 0, "its own key is new");
            assert!(!send(&mut server, &mut client, b"to the client").owes_reply);
        }
    }
}

#[test]
fn a_worn_out_write_key_is_replaced_in_time() {
    let Pair {
        mut client,
        mut server,
    } = Pair::new(Suite::Aes128Gcm);
    let near = SEQUENCE_END - 18;
    client.0.keys(client.1).write.word.set_sequence(near);
    server.0.keys(server.1).read.word.set_sequence(near);
    for _ in 0..100 {
        assert!(!send(&mut client, &mut server, b"x").owes_reply);
    }
    // Two records with the old key, the update, and 98 with the new one.
    assert_eq!(client.0.keys(client.1).write.word.sequence(), 98);
}

#[test]
fn a_peer_with_a_worn_out_key_is_asked_and_then_refused() {
    let Pair {
        mut client,
        mut server,
    } = Pair::new(Suite::Aes128Gcm);
    let at = |keys: &mut (KeyStore, KeyId), sequence| {
        keys.0.keys(keys.1).read.word.set_sequence(sequence);
    };
    let with = |keys: &mut (KeyStore, KeyId), sequence| {
        keys.0.keys(keys.1).write.word.set_sequence(sequence);
    };
    with(&mut client, (1 << 23) - 2);
    at(&mut server, (1 << 23) - 2);
    assert!(!send(&mut client, &mut server, b"x").owes_reply);
    assert!(send(&mut client, &mut server, b"x").owes_reply);
    assert!(send(&mut server, &mut client, b"").owes_reply);
    assert!(!send(&mut client, &mut server, b"answered").owes_reply);
    assert_eq!(server.0.keys(server.1).read.word.sequence(), 1);
    // One that never answers gets to the end, and no further.
    with(&mut client, SEQUENCE_END - 30);
    at(&mut server, SEQUENCE_END);
    let mut out = [0; 64];
    let sealed = client.0.seal(client.1, [&b"x"[..]], &mut out);
    let opened = server
        .0
        .open(server.1, &mut out, 0..sealed.ciphertext, |_| {});
    assert_eq!(opened.end, End::Broken(Fault::KeyWornOut));
}

#[test]
fn a_client_hears_every_ticket() {
    let Pair {
        mut client,
        mut server,
    } = Pair::new(Suite::Aes128Gcm);
    let mut out = [0; 128];
    let two = [4, 0, 0, 2, 7, 7, 4, 0, 0, 1, 8, HANDSHAKE];
    let length = server.0.seal_inner(server.1, &two, &mut out);
    let mut tickets = Vec::new();
    let opened = client.0.open(client.1, &mut out, 0..length, |body| {
        tickets.push(body.to_vec())
    });
    assert_eq!(opened.end, End::Open);
    assert_eq!(tickets, [vec![7, 7], vec![8]]);
}

#[test]
fn a_tail_counts_against_its_budget_until_it_is_cleared() {
    let mut budget = TailBudget::new(1000);
    let mut buffer = vec![0; 4096];
    buffer[..HEADER_LEN].copy_from_slice(&blank(APPLICATION, 2000)[..HEADER_LEN]);
    let mut tails = [Tail::default(), Tail::default()];
    tails[0].keep(&buffer[..600], &mut budget).unwrap();
    assert_eq!(tails[1].keep(&buffer[..600], &mut budget), Err(BudgetSpent));
    tails[1].clear(&mut budget);
    assert_eq!(budget.bytes(), 600);
    // More of the same record goes behind it, until it is whole.
    assert!(tails[0].join(&mut buffer, 600..650, &mut budget).is_err());
    tails[0].clear(&mut budget);
    assert_eq!((budget.bytes(), tails[0].len()), (0, 0));
}

proptest! {
    /// The fuzz target's property, on what proptest comes up with.
    #[test]
    fn pieces_make_no_difference(script: Vec<u8>) {
        crate::tls::fuzzing::record_layer(&script);
    }
}
