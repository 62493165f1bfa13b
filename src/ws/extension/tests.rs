//! Offers and answers as tables; both ends against each other.

use proptest::prelude::*;

use super::*;
use crate::ws::deflate::fuzzing;

fn config(mode: Mode, window_bits: u8) -> DeflateConfig {
    DeflateConfig {
        mode,
        window_bits,
        ..DeflateConfig::default()
    }
}

fn answered(offers: &str, mode: Mode, window_bits: u8) -> Option<String> {
    negotiate(offers, &config(mode, window_bits)).map(|(_, answer)| answer)
}

#[test]
fn nothing_is_negotiated_when_off() {
    assert_eq!(answered("permessage-deflate", Mode::Off, 15), None);
}

#[test]
fn shared_mode_answers() {
    let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let bits_10 = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10";
    for (offers, answer) in [
        ("permessage-deflate", plain),
        ("permessage-deflate; client_max_window_bits", plain),
        ("permessage-deflate;client_max_window_bits=9", plain),
        ("permessage-deflate; server_no_context_takeover", plain),
        ("permessage-deflate; server_max_window_bits=10", bits_10),
        (
            "permessage-deflate ;\tserver_max_window_bits = \"10\" ",
            bits_10,
        ),
        (
            "permessage-deflate; server_max_window_bits=\"1\\0\"",
            bits_10,
        ),
        // The first that can be kept, and nothing of those that cannot.
        ("x-unknown; a=1; b=\"c\", permessage-deflate", plain),
        ("permessage-deflate; what, permessage-deflate", plain),
        (
            "permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=10",
            bits_10,
        ),
        (
            "permessage-deflate, permessage-deflate; server_max_window_bits=10",
            plain,
        ),
        (",, permessage-deflate ,", plain),
    ] {
        assert_eq!(
            answered(offers, Mode::Shared, 15).as_deref(),
            Some(answer),
            "{offers:?}"
        );
    }
}

#[test]
fn dedicated_mode_answers() {
    // Offer, our window, answer, (our bits, context), (their bits, context).
    let table = [
        ("", 15, "", (15, true), (15, true)),
        // We cannot know that a silent client's window fits ours, so it may not keep one.
        (
            "",
            12,
            "; client_no_context_takeover",
            (12, true),
            (15, false),
        ),
        (
            "; client_max_window_bits",
            12,
            "; client_max_window_bits=12",
            (12, true),
            (12, true),
        ),
        (
            "; client_max_window_bits=10",
            12,
            "; client_max_window_bits=10",
            (12, true),
            (10, true),
        ),
        (
            "; client_max_window_bits=14",
            12,
            "; client_max_window_bits=12",
            (12, true),
            (12, true),
        ),
        (
            "; client_max_window_bits",
            15,
            "; client_max_window_bits=15",
            (15, true),
            (15, true),
        ),
        (
            "; server_max_window_bits=10",
            15,
            "; server_max_window_bits=10",
            (10, true),
            (15, true),
        ),
        (
            "; server_max_window_bits=8",
            15,
            "; server_max_window_bits=8",
            (8, true),
            (15, true),
        ),
        (
            "; server_no_context_takeover",
            15,
            "; server_no_context_takeover",
            (15, false),
            (15, true),
        ),
        (
            "; client_no_context_takeover",
            15,
            "; client_no_context_takeover",
            (15, true),
            (15, false),
        ),
        (
            "; client_max_window_bits; server_max_window_bits=14; client_no_context_takeover; server_no_context_takeover",
            9,
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
            (9, false),
            (9, false),
        ),
    ];
    for (offer, window_bits, answer, ours, theirs) in table {
        let offers = format!("permessage-deflate{offer}");
        let (agreed, text) = negotiate(&offers, &config(Mode::Dedicated, window_bits)).unwrap();
        assert_eq!(text, format!("permessage-deflate{answer}"), "{offers}");
        assert_eq!(agreed.ours, Half::new(ours.0, ours.1), "{offers}");
        assert_eq!(agreed.theirs, Half::new(theirs.0, theirs.1), "{offers}");
    }
}

#[test]
fn declined_offers() {
    for parameters in [
        "server_no_context_takeover=1",
        "server_no_context_takeover=true",
        "client_no_context_takeover=\"x\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=1000",
        "server_max_window_bits=+9",
        "server_max_window_bits=9x",
        "server_max_window_bits=8.5",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=0",
        "client_max_window_bits=16",
        "client_max_window_bits=010",
        "client_max_window_bits=99999999999999999999",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "unknown",
        "unknown=1",
        "Server_No_Context_Takeover",
    ] {
        for mode in [Mode::Shared, Mode::Dedicated] {
            let offers = format!("permessage-deflate; {parameters}");
            assert_eq!(answered(&offers, mode, 15), None, "{offers}");
        }
    }
    for offers in [
        "",
        " ",
        ",",
        "x-webkit-deflate-frame",
        "permessage-deflate2",
        "permessage",
    ] {
        assert_eq!(answered(offers, Mode::Shared, 15), None, "{offers:?}");
    }
}

#[test]
fn a_malformed_header_is_worth_nothing() {
    for fault in [
        ";",
        "; ",
        "; ;a",
        ";=1",
        "; a=",
        "; a==1",
        "; a=\"",
        "; a=\"b",
        "; a=\"\"",
        "; a=\"b c\"",
        "; a=\"b\\\"",
        "; a=\"b\"c",
        "; a=b c",
        " b",
        "; a b",
        "; é",
        "; a=\u{1F600}",
        "/x",
        ", =",
        ", ;a",
    ] {
        // Behind an offer that would win, in one that would lose, and on its own.
        for before in ["permessage-deflate", "permessage-deflate, x"] {
            let offers = format!("{before}{fault}");
            assert_eq!(answered(&offers, Mode::Shared, 15), None, "{offers:?}");
        }
    }
}

#[test]
fn a_long_header_is_read_in_one_pass() {
    // Each of these costs a backtracking reader the square of its length, which here is minutes.
    for (pattern, is_well_formed) in [
        (",", true),
        (" ", true),
        ("; a", true),
        ("; a=\"b\\c\"", true),
        ("a; b, ", true),
        ("permessage-deflate; a, ", true),
        ("; a=\"\\\\\"", false),
        ("\\", false),
        ("a=\"", false),
        (";", false),
    ] {
        let offers = format!("permessage-deflate, x{}", pattern.repeat(200_000));
        let answer = answered(&offers, Mode::Shared, 15);
        assert_eq!(answer.is_some(), is_well_formed, "{pattern:?}");
    }
}

#[test]
fn client_offers() {
    assert_eq!(offer(&config(Mode::Off, 15)), None);
    let offered = |mode, bits| offer(&config(mode, bits)).unwrap();
    assert_eq!(
        offered(Mode::Shared, 12),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    );
    assert_eq!(
        offered(Mode::Dedicated, 15),
        "permessage-deflate; client_max_window_bits"
    );
    assert_eq!(
        offered(Mode::Dedicated, 9),
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits"
    );
}

#[test]
fn answers_a_client_refuses() {
    for (mode, answer) in [
        (Mode::Off, "permessage-deflate"),
        (Mode::Dedicated, "x-other"),
        (Mode::Dedicated, "permessage-deflate, permessage-deflate"),
        (Mode::Dedicated, "permessage-deflate; unknown"),
        (
            Mode::Dedicated,
            "permessage-deflate; client_max_window_bits",
        ),
        (
            Mode::Dedicated,
            "permessage-deflate; client_max_window_bits=7",
        ),
        (
            Mode::Dedicated,
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        ),
        (Mode::Dedicated, "permessage-deflate;"),
        // Offered with server_no_context_takeover, so it must be answered.
        (Mode::Shared, "permessage-deflate"),
        // Offered a window of 12, so a bigger one or none is no answer.
        (
            Mode::Dedicated,
            "permessage-deflate; server_max_window_bits=13",
        ),
        (Mode::Dedicated, "permessage-deflate"),
    ] {
        let found = accept_answer(answer, &config(mode, 12));
        assert_eq!(found, Err(BadAnswer), "{mode:?} {answer}");
    }
    assert_eq!(accept_answer("", &config(Mode::Shared, 12)), Ok(None));
}

#[test]
fn both_ends_agree() {
    for (client_mode, server_mode) in [
        (Mode::Shared, Mode::Shared),
        (Mode::Shared, Mode::Dedicated),
        (Mode::Dedicated, Mode::Shared),
        (Mode::Dedicated, Mode::Dedicated),
    ] {
        for client_bits in 8..=15 {
            for server_bits in 8..=15 {
                let client = config(client_mode, client_bits);
                let server = config(server_mode, server_bits);
                let (at_server, answer) = negotiate(&offer(&client).unwrap(), &server).unwrap();
                let at_client = accept_answer(&answer, &client).unwrap().unwrap();
                for (sends, receives) in [
                    (at_server.ours, at_client.theirs),
                    (at_client.ours, at_server.theirs),
                ] {
                    assert!(sends.window_bits() <= receives.window_bits(), "{answer}");
                    assert!(
                        !sends.keeps_context() || receives.keeps_context(),
                        "{answer}"
                    );
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_list_keeps_the_properties(pieces in prop::collection::vec(prop::sample::select(vec![
        "permessage-deflate", "; ", ";", ",", ", ", "=", "server_no_context_takeover", "8", "15", "12", "16",
        "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits", "\"", "\\", " ", "\t", "x", "é",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
    ]), 0..16)) {
        fuzzing::extension_header(pieces.concat().as_bytes());
    }

    #[test]
    fn any_bytes_keep_the_properties(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        fuzzing::extension_header(&bytes);
    }
}
