use super::*;
use proptest::prelude::*;

fn header(bytes: &[u8], role: Role) -> Header {
    parse_header(bytes, role).unwrap().unwrap()
}

fn refusal(bytes: &[u8], role: Role) -> Violation {
    parse_header(bytes, role).unwrap_err()
}

/// A masked binary header with a 64-bit length.
fn with_length_64(len: u64) -> Vec<u8> {
    [&[0x82, 0xFF][..], &len.to_be_bytes(), &[1, 2, 3, 4]].concat()
}

#[test]
fn the_shapes_of_a_header() {
    let text = header(b"\x81\x85\x37\xFA\x21\x3D", Role::Server);
    assert_eq!(
        text,
        Header {
            fin: true,
            rsv1: false,
            opcode: Opcode::Text,
            key: Some([0x37, 0xFA, 0x21, 0x3D]),
            payload_len: 5,
            header_len: 6,
        }
    );
    let unmasked = header(b"\x02\x7E\x01\x00", Role::Client);
    assert_eq!(
        (unmasked.fin, unmasked.payload_len, unmasked.header_len),
        (false, 256, 4)
    );
    let long = header(&with_length_64(1 << 16), Role::Server);
    assert_eq!((long.payload_len, long.header_len), (1 << 16, 14));
    assert!(header(b"\xC2\x00", Role::Client).rsv1);
}

#[test]
fn every_first_byte_is_judged() {
    for first in 0..=255_u8 {
        let judged = parse_header(&[first, 0x80, 0, 0, 0, 0], Role::Server);
        let opcode = first & 0x0F;
        let expected = if first & 0x30 != 0 {
            Err(Violation::ReservedBits)
        } else if matches!(opcode, 3..=7 | 11..=15) {
            Err(Violation::ReservedOpcode)
        } else if opcode >= 8 && first & 0x40 != 0 {
            Err(Violation::Rsv1OnControl)
        } else if opcode >= 8 && first & 0x80 == 0 {
            Err(Violation::ControlFragmented)
        } else {
            Ok(opcode)
        };
        let judged = judged.map(|header| header.unwrap().opcode as u8);
        assert_eq!(judged, expected, "{first:02X}");
    }
}

#[test]
fn each_role_has_its_mask() {
    assert_eq!(refusal(b"\x81\x00", Role::Server), Violation::MaskMissing);
    assert_eq!(refusal(b"\x81\x80", Role::Client), Violation::MaskForbidden);
    assert_eq!(refusal(b"\x88\x00", Role::Server), Violation::MaskMissing);
}

#[test]
fn control_frames_are_short() {
    for opcode in [0x88, 0x89, 0x8A] {
        assert_eq!(header(&[opcode, 125], Role::Client).payload_len, 125);
        assert_eq!(
            refusal(&[opcode, 126], Role::Client),
            Violation::ControlTooLong
        );
        assert_eq!(
            refusal(&[opcode, 127], Role::Client),
            Violation::ControlTooLong
        );
    }
}

#[test]
fn hostile_lengths_are_told_from_the_header_alone() {
    for len in [0, 1, 125, 126, 65_535] {
        assert_eq!(
            refusal(&with_length_64(len), Role::Server),
            Violation::LengthNotMinimal
        );
    }
    for len in [1 << 63, (1 << 63) + 1, u64::MAX] {
        assert_eq!(
            refusal(&with_length_64(len), Role::Server),
            Violation::LengthOverflow
        );
    }
    // Legal as headers; `Inbound` refuses them by its limit.
    for len in [65_536, 1 << 31, (1 << 32) + 5, 1 << 62, (1 << 63) - 1] {
        assert_eq!(header(&with_length_64(len), Role::Server).payload_len, len);
    }
    for len in 0..126_u16 {
        let bytes = [&[0x82, 126][..], &len.to_be_bytes()].concat();
        assert_eq!(refusal(&bytes, Role::Client), Violation::LengthNotMinimal);
    }
    assert_eq!(header(b"\x82\x7E\x00\x7E", Role::Client).payload_len, 126);
}

#[test]
fn a_cut_header_asks_for_more_and_says_how_much() {
    for whole in [
        &b"\x81\x85\x01\x02\x03\x04"[..],
        b"\x82\xFE\x01\x00\x01\x02\x03\x04",
        &with_length_64(70_000),
    ] {
        for cut in 0..whole.len() {
            let bytes = &whole[..cut];
            assert_eq!(parse_header(bytes, Role::Server), Ok(None), "{cut}");
            let wanted = header_bytes_wanted(bytes);
            assert_eq!(wanted, if cut < 2 { 2 } else { whole.len() });
        }
    }
}

#[test]
fn written_headers_have_the_announced_length() {
    for payload_len in [0, 1, 125, 126, 65_535, 65_536, 1 << 40] {
        for key in [None, Some([9, 8, 7, 6])] {
            let mut bytes = [0; HEADROOM];
            let written = write_header(&mut bytes, true, false, Opcode::Binary, key, payload_len);
            assert_eq!(written, header_len(payload_len, key.is_some()));
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        fin: bool,
        rsv1: bool,
        opcode in prop::sample::select(vec![Opcode::Continuation, Opcode::Text, Opcode::Binary]),
        key: Option<[u8; 4]>,
        payload_len in prop_oneof![0..300_usize, 65_500..65_600_usize, 0..usize::MAX >> 1],
    ) {
        let mut bytes = [0; HEADROOM];
        let header_len = write_header(&mut bytes, fin, rsv1, opcode, key, payload_len);
        let role = if key.is_some() { Role::Server } else { Role::Client };
        prop_assert_eq!(
            header(&bytes, role),
            Header { fin, rsv1, opcode, key, payload_len: payload_len as u64, header_len: header_len as u8 }
        );
        prop_assert_eq!(parse_header(&bytes[..header_len - 1], role), Ok(None));
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        for role in [Role::Server, Role::Client] {
            if let Ok(Some(header)) = parse_header(&bytes, role) {
                prop_assert!(usize::from(header.header_len) <= bytes.len());
                prop_assert_eq!(header_bytes_wanted(&bytes), usize::from(header.header_len));
                prop_assert!(header.payload_len <= i64::MAX as u64);
            }
        }
    }
}

#[test]
fn an_appended_frame_is_masked_when_it_has_a_key() {
    let mut out = b"before".to_vec();
    append_frame(
        &mut out,
        Opcode::Text,
        false,
        Some([0x37, 0xFA, 0x21, 0x3D]),
        b"Hello",
    );
    // RFC 6455 section 5.7.
    assert_eq!(out, b"before\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58");
    out.clear();
    append_frame(&mut out, Opcode::Ping, false, None, b"Hello");
    assert_eq!(out, b"\x89\x05Hello");
}
