//! Handshakes and what follows, over a pipe: every mode against every mode, and what must not be.

use proptest::prelude::*;

use super::*;
use crate::tls::certificates::load_authorities;
use crate::tls::dev_cert::{DevCertificate, DevRequest};
use crate::tls::fuzzing::{Endpoint, Pipe, certificate, server_options, tls_connection};
use crate::tls::{
    Choices, ClientAuth, ClientOptions, Mode, OptionError, ServerOptions, Tickets, Trust,
};
use std::sync::Arc;

mod differential;

fn choices(mode: Mode, tls12: bool) -> Choices {
    Choices {
        mode,
        tls12,
        ..Choices::default()
    }
}

fn server(choices: Choices) -> ServerTls {
    ServerTls::new(&ServerOptions {
        choices,
        ..server_options()
    })
    .unwrap()
}

fn client(choices: Choices) -> ClientTls {
    ClientTls::new(
        &ClientOptions {
            choices,
            ..ClientOptions::default()
        },
        "localhost",
    )
    .unwrap()
}

fn compact() -> Choices {
    choices(Mode::Compact, false)
}

/// A dialogue in both directions, ended from both.
fn converse(pipe: &mut Pipe) {
    pipe.carry();
    assert!(pipe.client.say(&[b"hello, ", b"server"]));
    pipe.carry();
    assert!(pipe.server.say(&[b"hello, client"]));
    pipe.carry();
    pipe.client.close();
    pipe.carry();
    pipe.server.close();
    pipe.carry();
    assert_eq!(pipe.server.heard, b"hello, server");
    assert_eq!(pipe.client.heard, b"hello, client");
    assert_eq!(pipe.server.ending, Ending::Closed);
    assert_eq!(pipe.client.ending, Ending::Closed);
}

fn introductions(pipe: &Pipe) -> [&Introduction; 2] {
    [&pipe.client, &pipe.server].map(|end| &end.established.as_ref().unwrap().introduction)
}

#[test]
fn every_mode_talks_to_every_mode() {
    for (ours, theirs) in [
        (Mode::Compact, Mode::Compact),
        (Mode::Compact, Mode::Rustls),
        (Mode::Rustls, Mode::Compact),
        (Mode::Rustls, Mode::Rustls),
    ] {
        for (server_12, client_12) in [(false, false), (true, false), (true, true)] {
            for piece_bytes in [1, 7, 65_536] {
                let mut pipe = Pipe::new(
                    &server(choices(ours, server_12)),
                    &client(choices(theirs, client_12)),
                );
                pipe.piece_bytes = piece_bytes;
                converse(&mut pipe);
                let Pipe { client, server, .. } = &mut pipe;
                for (end, mode) in [(&mut *client, theirs), (server, ours)] {
                    let suite = end.sessions.compact_suite(end.id.unwrap());
                    let is_compact = (mode == Mode::Compact).then_some(Suite::Aes128Gcm);
                    assert_eq!(suite, is_compact);
                    let kept = usize::from(mode == Mode::Rustls);
                    assert_eq!(end.sessions.kept_by_rustls(), kept);
                    end.remove();
                }
            }
        }
    }
}

#[test]
fn both_ends_are_introduced() {
    let mut pipe = Pipe::new(&server(compact()), &client(compact()));
    pipe.carry();
    let [seen_by_client, seen_by_server] = introductions(&pipe);
    assert_eq!(seen_by_server.server_name.as_deref(), Some("localhost"));
    assert_eq!(seen_by_server.peer, None);
    let facts = seen_by_client.peer.as_ref().unwrap();
    assert_eq!(facts.names, ["localhost", "127.0.0.1", "::1"]);
    for introduction in [seen_by_client, seen_by_server] {
        assert!(introduction.has_alpn && introduction.is_tls13 && !introduction.is_resumed);
    }
}

#[test]
fn the_key_exchange_of_tomorrow_can_be_switched_off_at_either_end() {
    for (ours, theirs) in [(true, true), (true, false), (false, true), (false, false)] {
        let with = |post_quantum| Choices {
            post_quantum,
            ..compact()
        };
        let mut pipe = Pipe::new(&server(with(ours)), &client(with(theirs)));
        // X25519MLKEM768 makes a hello longer than a kilobyte.
        assert_eq!(pipe.client.out.len() > 1024, theirs);
        converse(&mut pipe);
    }
}

#[test]
fn every_suite_gets_its_line() {
    for suite in Suite::ALL {
        let only = Choices {
            suites: vec![suite],
            ..compact()
        };
        let mut pipe = Pipe::new(&server(compact()), &client(only));
        converse(&mut pipe);
        let Endpoint { sessions, id, .. } = &pipe.server;
        assert_eq!(sessions.compact_suite(id.unwrap()), Some(suite));
    }
}

/// How a handshake ends that must not succeed, at the server and at the client.
#[track_caller]
fn refused(server: &ServerTls, client: &ClientTls) -> (Trouble, Trouble) {
    let mut pipe = Pipe::new(server, client);
    pipe.carry();
    let trouble = |end: &Endpoint| match end.ending {
        Ending::Broken(trouble) => trouble,
        other => panic!("{other:?}"),
    };
    let troubles = (trouble(&pipe.server), trouble(&pipe.client));
    pipe.client.remove();
    pipe.server.remove();
    troubles
}

fn refusal(refusal: Refusal) -> Trouble {
    Trouble::Handshake(refusal)
}

#[test]
fn older_versions_and_other_suites_get_the_right_alert() {
    let only = |suite| Choices {
        suites: vec![suite],
        ..compact()
    };
    let mismatch = refused(
        &server(only(Suite::Aes128Gcm)),
        &client(only(Suite::Aes256Gcm)),
    );
    let handshake_failure = refusal(Refusal::PeerAlert(40));
    assert_eq!(
        mismatch,
        (refusal(Refusal::NothingInCommon), handshake_failure)
    );
    // A client of TLS 1.2 alone: the hello of one that has both, without what says so, is what
    // OpenSSL sends in `tests/it`; here the server has the older version only.
    let older = Choices {
        suites: vec![],
        ..choices(Mode::Rustls, true)
    };
    let (_, seen_by_client) = refused(&server(compact()), &client(older));
    assert_eq!(seen_by_client, refusal(Refusal::PeerAlert(70)));
}

#[test]
fn only_known_authorities_and_right_names_are_believed() {
    let authority = |made: &DevCertificate| {
        crate::tls::certificates::certificates(made.authority.as_bytes()).unwrap()
    };
    let make = |name: &str| {
        let request = DevRequest {
            names: vec![name.to_owned()],
            days: 20_000,
        };
        DevCertificate::new(&request, 1_700_000_000).unwrap()
    };
    let (a, b, c) = (make("a.test"), make("*.b.test"), make("c.test"));
    let tls = ServerTls::new(&ServerOptions {
        certificates: vec![certificate(&a), certificate(&b), certificate(&c)],
        ..ServerOptions::default()
    })
    .unwrap();
    let client = |made: &DevCertificate, name: &str| {
        let options = ClientOptions {
            trust: Trust::Authorities(authority(made)),
            ..ClientOptions::default()
        };
        ClientTls::new(&options, name).unwrap()
    };
    for (made, name) in [(&a, "a.test"), (&b, "X.b.test"), (&c, "C.test")] {
        let mut pipe = Pipe::new(&tls, &client(made, name));
        converse(&mut pipe);
    }
    // The wildcard is for one label, and the first certificate for everybody else.
    let untrusted = refusal(Refusal::PeerAlert(48));
    let wrong_name = refusal(Refusal::PeerAlert(42));
    for (made, name, seen, why) in [
        (&b, "a.test", untrusted, Refusal::CertificateUntrusted),
        (&b, "b.test", untrusted, Refusal::CertificateUntrusted),
        (&b, "x.y.b.test", untrusted, Refusal::CertificateUntrusted),
        (&a, "elsewhere.test", wrong_name, Refusal::CertificateName),
    ] {
        let (at_server, at_client) = refused(&tls, &client(made, name));
        assert_eq!(at_server, seen, "{name}");
        assert_eq!(at_client, refusal(why), "{name}");
    }
}

#[test]
fn clients_show_certificates_where_they_are_asked() {
    let request = |name: &str| DevRequest {
        names: vec![name.to_owned()],
        days: 20_000,
    };
    let make = |name| DevCertificate::new(&request(name), 1_700_000_000).unwrap();
    let (device, stranger) = (make("device-7.test"), make("stranger.test"));
    let authorities = crate::tls::certificates::certificates(device.authority.as_bytes()).unwrap();
    let tls = |client_auth| {
        ServerTls::new(&ServerOptions {
            client_auth,
            ..server_options()
        })
        .unwrap()
    };
    let required = tls(ClientAuth::Required(authorities.clone()));
    let optional = tls(ClientAuth::Optional(authorities));
    let client = |made: Option<&DevCertificate>| {
        let options = ClientOptions {
            certificate: made.map(certificate),
            ..ClientOptions::default()
        };
        ClientTls::new(&options, "localhost").unwrap()
    };
    for (tls, made) in [
        (&required, Some(&device)),
        (&optional, Some(&device)),
        (&optional, None),
    ] {
        let mut pipe = Pipe::new(tls, &client(made));
        converse(&mut pipe);
        let [_, seen_by_server] = introductions(&pipe);
        let subject = seen_by_server
            .peer
            .as_ref()
            .map(|facts| facts.subject.as_str());
        assert_eq!(subject, made.map(|_| "CN=device-7.test"));
    }
    // A client of TLS 1.3 is done before it hears that it is not welcome.
    for (made, at_server, alert) in [
        (None, Refusal::CertificateMissing, 116),
        (Some(&stranger), Refusal::CertificateUntrusted, 48),
    ] {
        let mut pipe = Pipe::new(&required, &client(made));
        pipe.carry();
        assert_eq!(pipe.server.ending, Ending::Broken(refusal(at_server)));
        let heard = Trouble::Record(Fault::PeerAlert(alert));
        assert_eq!(pipe.client.ending, Ending::Broken(heard));
    }
}

#[test]
fn sessions_are_resumed_by_every_node_that_shares_the_secret() {
    let shared = || Arc::new(Tickets::from_shared_file(&[b'7'; 40]).unwrap());
    let stranger = Arc::new(Tickets::for_this_process());
    let tls = |tickets, mode| {
        ServerTls::new(&ServerOptions {
            choices: choices(mode, false),
            tickets,
            ..server_options()
        })
        .unwrap()
    };
    for mode in [Mode::Compact, Mode::Rustls] {
        let options = ClientOptions {
            choices: choices(mode, false),
            resumes: true,
            ..ClientOptions::default()
        };
        let client = ClientTls::new(&options, "localhost").unwrap();
        let nodes = [
            (tls(Some(shared()), mode), false),
            (tls(Some(shared()), mode), true),
            (tls(Some(Arc::clone(&stranger)), mode), false),
            (tls(Some(Arc::clone(&stranger)), mode), true),
            (tls(None, mode), false),
        ];
        for (node, is_resumed) in nodes {
            let mut pipe = Pipe::new(&node, &client);
            converse(&mut pipe);
            let seen = introductions(&pipe).map(|introduction| introduction.is_resumed);
            assert_eq!(seen, [is_resumed; 2], "{mode:?}");
            pipe.client.remove();
        }
    }
}

/// A client that has received the server's flight and not sent its own.
fn before_finished(server: &ServerTls) -> Pipe {
    let mut pipe = Pipe::new(server, &client(compact()));
    let hello = std::mem::take(&mut pipe.client.out);
    pipe.server.receive(&hello);
    let flight = std::mem::take(&mut pipe.server.out);
    pipe.client.receive(&flight);
    assert!(pipe.client.established.is_some() && pipe.server.established.is_none());
    pipe
}

#[test]
fn what_comes_with_the_finished_is_heard() {
    for mode in [Mode::Compact, Mode::Rustls] {
        for piece_bytes in [1, 10, 100, 65_536] {
            let mut pipe = before_finished(&server(choices(mode, false)));
            pipe.piece_bytes = piece_bytes;
            let id = pipe.client.id.unwrap();
            assert!(pipe.client.say(&[b"early"]));
            // Keys that change in this very flight, with an answer wanted; and again.
            pipe.client.sessions.refresh(id);
            assert!(pipe.client.say(&[b", bird"]));
            pipe.client.sessions.refresh(id);
            assert!(pipe.client.say(&[b"!"]));
            converse_after(&mut pipe, "early, bird!");
        }
    }
}

fn converse_after(pipe: &mut Pipe, already: &str) {
    pipe.carry();
    assert_eq!(pipe.server.heard, already.as_bytes());
    pipe.server.heard.clear();
    converse(pipe);
    pipe.client.remove();
    pipe.server.remove();
}

#[test]
fn a_client_may_say_everything_and_leave_in_one_flight() {
    let mut pipe = before_finished(&server(compact()));
    assert!(pipe.client.say(&[b"all there is"]));
    pipe.client.close();
    pipe.carry();
    assert_eq!(pipe.server.heard, b"all there is");
    assert!(pipe.server.established.is_some());
    assert_eq!(pipe.server.ending, Ending::Closed);
    pipe.server.close();
    pipe.carry();
    assert_eq!(pipe.client.ending, Ending::Closed);
    pipe.client.remove();
    pipe.server.remove();
}

#[test]
fn a_message_in_pieces_at_the_hand_over_ends_the_connection() {
    let mut pipe = before_finished(&server(compact()));
    let id = pipe.client.id.unwrap();
    let mut out = [0; 64];
    let (store, key) = pipe.client.sessions.keys_of(id).unwrap();
    let length = store.seal_inner(key, &[24, 0, 0, 22], &mut out);
    pipe.client.out.extend_from_slice(&out[..length]);
    pipe.carry();
    let ended = Ending::Broken(refusal(Refusal::Misbehaved));
    assert_eq!(pipe.server.ending, ended);
    pipe.server.remove();
}

#[test]
fn a_stream_that_ends_without_goodbye_is_known_to_be_cut() {
    for mode in [Mode::Compact, Mode::Rustls] {
        let mut pipe = Pipe::new(&server(choices(mode, false)), &client(compact()));
        pipe.carry();
        assert!(pipe.client.say(&[b"half"]));
        pipe.carry();
        let id = pipe.server.id.unwrap();
        assert!(pipe.server.sessions.is_truncated(id));
        pipe.client.close();
        pipe.carry();
        assert!(!pipe.server.sessions.is_truncated(id));
    }
}

#[test]
fn handshakes_are_rationed_and_come_back() {
    let limits = SessionLimits {
        handshakes_max: 2,
        ..SessionLimits::default()
    };
    let mut sessions = Sessions::new(Role::Server, limits);
    let tls = server(compact());
    let first = sessions.accept(&tls).unwrap();
    assert!(sessions.accept(&tls).is_some());
    assert!(sessions.accept(&tls).is_none());
    sessions.remove(first);
    let again = sessions.accept(&tls).unwrap();
    assert_eq!((sessions.handshakes(), sessions.len()), (2, 2));
    assert!(sessions.is_truncated(again));
    assert_eq!(
        sessions.close(again, &mut [0; 64]),
        0,
        "there is nobody to say it to"
    );
    let sealed = sessions.seal(again, [&b"too early"[..]], &mut [0; 64]);
    assert_eq!(sealed, Sealed::default());
}

#[test]
fn what_is_not_tls_is_called_by_its_name() {
    let cases: [(&[u8], Refusal); 5] = [
        (
            b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            Refusal::PlainHttp,
        ),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", Refusal::PlainHttp),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Refusal::NotTls),
        (b"\x80\x2e\x01\x03\x01", Refusal::NotTls),
        (&[0x16, 0x09, 0x01, 0, 5, 1, 0, 0, 1, 0], Refusal::NotTls),
    ];
    for (bytes, expected) in cases {
        let mut end = Endpoint::server(&server(compact()));
        end.receive(bytes);
        assert_eq!(end.ending, Ending::Broken(refusal(expected)), "{bytes:?}");
        end.remove();
    }
}

#[test]
fn a_hello_that_never_ends_is_cut_off() {
    for (tls, bytes_max) in [
        (server(compact()), 20 << 10),
        (
            ServerTls::new(&ServerOptions {
                client_auth: ClientAuth::Optional(server_options().certificates[0].chain.clone()),
                ..server_options()
            })
            .unwrap(),
            84 << 10,
        ),
    ] {
        let mut end = Endpoint::server(&tls);
        // A ClientHello of 60 000 bytes, in records of 1000, and then another message as long.
        let mut sent = 0;
        while end.ending == Ending::Open {
            let mut record = vec![22, 3, 1, 3, 0xE8];
            record.resize(1005, 0);
            if sent == 0 {
                record[5..9].copy_from_slice(&[1, 0, 0xEA, 0x60]);
            }
            end.receive(&record);
            sent += record.len();
            assert!(sent < bytes_max + 2000, "{sent}");
        }
        assert!(sent > bytes_max.min(60_000), "{sent}: {:?}", end.ending);
        end.remove();
    }
}

#[test]
fn a_record_cut_short_keeps_within_the_budget_of_all() {
    let limits = SessionLimits {
        tail_bytes_max: 100,
        ..SessionLimits::default()
    };
    let mut pipe = Pipe::new(&server(compact()), &client(compact()));
    pipe.server.sessions = Sessions::new(Role::Server, limits);
    pipe.carry();
    assert!(pipe.client.say(&[&[0; 500]]));
    let record = std::mem::take(&mut pipe.client.out);
    pipe.server.receive(&record[..90]);
    assert_eq!(pipe.server.ending, Ending::Open);
    pipe.server.receive(&record[90..200]);
    assert_eq!(pipe.server.ending, Ending::Broken(Trouble::TooManyTails));
    pipe.carry();
    let told = Trouble::Record(Fault::PeerAlert(80));
    assert_eq!(pipe.client.ending, Ending::Broken(told));
    pipe.server.remove();
}

/// What a server makes of records no honest client sends: what it heard, and the alert it answers.
fn verdict(mode: Mode, inners: &[Vec<u8>]) -> (Vec<u8>, Option<u8>, bool) {
    let mut pipe = Pipe::new(&server(choices(mode, false)), &client(compact()));
    pipe.carry();
    for inner in inners {
        let mut out = vec![0; inner.len() + OVERHEAD];
        let (store, key) = pipe
            .client
            .sessions
            .keys_of(pipe.client.id.unwrap())
            .unwrap();
        let length = store.seal_inner(key, inner, &mut out);
        pipe.client.out.extend_from_slice(&out[..length]);
    }
    pipe.carry();
    let alert = match pipe.client.ending {
        Ending::Broken(Trouble::Record(Fault::PeerAlert(alert))) => Some(alert),
        Ending::Open => None,
        other => panic!("{other:?}"),
    };
    let goes_on = pipe.server.ending == Ending::Open;
    (pipe.server.heard, alert, goes_on)
}

/// The compact record layer and rustls are told the same, and say the same.
#[test]
fn a_villain_hears_from_us_what_rustls_would_say() {
    let say = |text: &[u8]| [text, &[23]].concat();
    let long = |length| [vec![b'x'; length], vec![23]].concat();
    let mut cases: Vec<Vec<u8>> = vec![
        say(b"honest"),
        say(b""),
        [&b"padded"[..], &[23], &[0; 100]].concat(),
        long(1 << 14),
        long((1 << 14) + 1),
        [&b"x"[..], &[23], &[0; 1 << 14]].concat(),
        vec![0; 20],
        vec![1, 0, 21],
        vec![1, 90, 21],
        vec![2, 40, 21],
        vec![1, 21],
        vec![2, 40, 0, 21],
        vec![1, 20],
        vec![1, 24],
        vec![22],
    ];
    for message in [
        &[24, 0, 0, 1, 0][..],
        &[24, 0, 0, 1, 1],
        &[24, 0, 0, 1, 2],
        &[24, 0, 0, 0],
        &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0],
        &[4, 0, 0, 1, 0],
        &[1, 0, 0, 1, 0],
        &[13, 0, 0, 1, 0],
    ] {
        cases.push([message, &[22]].concat());
    }
    for inner in cases {
        let script = [say(b"before"), inner.clone()];
        let [ours, rustls] = [Mode::Compact, Mode::Rustls].map(|mode| verdict(mode, &script));
        if let Some((_, alert, goes_on)) = DISAGREEMENTS.iter().find(|(it, ..)| *it == inner) {
            assert_eq!((rustls.1, rustls.2), (*alert, *goes_on), "{inner:?}");
            assert_eq!((ours.1, ours.2), (Some(10), false), "{inner:?}");
            assert_eq!(ours.0, rustls.0);
            continue;
        }
        let shown = &inner[inner.len().saturating_sub(12)..];
        assert_eq!(ours, rustls, "{} bytes, {shown:?}", inner.len());
    }
}

/// Where rustls says something else, and we say unexpected_message: it parses a message before it asks
/// whether it may come at all (decode_error), names no reason for a record of padding alone, and lets
/// an empty handshake record pass, which RFC 8446, 5.1 forbids to send.
const DISAGREEMENTS: [(&[u8], Option<u8>, bool); 6] = [
    (&[0; 20], None, false),
    (&[1, 24], Some(50), false),
    (&[22], None, true),
    (&[4, 0, 0, 1, 0, 22], Some(50), false),
    (&[1, 0, 0, 1, 0, 22], Some(50), false),
    (&[13, 0, 0, 1, 0, 22], Some(50), false),
];

#[test]
fn keys_are_lent_to_the_kernel_only_between_records() {
    let mut pipe = Pipe::new(&server(compact()), &client(compact()));
    pipe.carry();
    assert!(pipe.client.say(&[b"one"]));
    pipe.carry();
    let id = pipe.server.id.unwrap();
    let lent = pipe.server.sessions.export(id, |read, write| {
        assert_eq!(read.cipher, ktls::Cipher::Aes128Gcm);
        assert_eq!((read.key.len(), read.sequence, write.sequence), (16, 1, 0));
        (read.key.to_vec(), write.key.to_vec())
    });
    let ours = lent.unwrap();
    let theirs = pipe
        .client
        .sessions
        .export(pipe.client.id.unwrap(), |read, write| {
            (write.key.to_vec(), read.key.to_vec())
        });
    assert_eq!(theirs, Some(ours));
    pipe.server.sessions.refresh(id);
    assert!(pipe.server.sessions.export(id, |_, _| ()).is_none());
    assert!(pipe.server.say(&[b""]));
    pipe.carry();
    assert!(pipe.server.sessions.export(id, |_, _| ()).is_some());
    assert!(pipe.client.say(&[b"two"]));
    pipe.server.receive(&pipe.client.out[..9]);
    assert!(pipe.server.sessions.export(id, |_, _| ()).is_none());

    let mut kept = Pipe::new(&server(choices(Mode::Rustls, false)), &client(compact()));
    kept.carry();
    let id = kept.server.id.unwrap();
    assert!(kept.server.sessions.export(id, |_, _| ()).is_none());
}

#[test]
fn options_that_cannot_be_are_refused() {
    let none = ServerOptions::default();
    assert_eq!(
        ServerTls::new(&none).unwrap_err(),
        OptionError::NoCertificate
    );
    let mut silent = server_options();
    silent.choices.suites.clear();
    assert_eq!(
        ServerTls::new(&silent).unwrap_err(),
        OptionError::NothingToSpeak
    );
    let name = ClientTls::new(&ClientOptions::default(), "no name").unwrap_err();
    assert_eq!(name, OptionError::Name);
    for name in ["[::1]", "127.0.0.1", "localhost"] {
        assert!(ClientTls::new(&ClientOptions::default(), name).is_ok());
    }
    assert!(load_authorities("/nonexistent.pem".as_ref()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The fuzz target's property: ours against ours, and ours against rustls.
    #[test]
    fn what_is_said_is_heard(choice in 0u8..32, mixed: bool, size: u8, script: Vec<u8>) {
        let head = [(choice & 15) | (64 * u8::from(mixed)), size, 0, 0];
        tls_connection(&[&head[..], &script].concat());
    }

    #[test]
    fn damage_is_never_heard(at in 1u16..6000, mixed: bool, script: Vec<u8>) {
        let [high, low] = at.to_be_bytes();
        tls_connection(&[&[64 * u8::from(mixed), 200, high, low][..], &script].concat());
    }
}
