use super::*;

#[test]
fn codes_that_may_travel() {
    let allowed = |code: &u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in 0..=u16::MAX {
        assert_eq!(CloseCode::may_be_sent(code), allowed(&code), "{code}");
    }
    // Spelled out once more, against a slip in both patterns: Autobahn 7.7.x and 7.9.x.
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        assert!(CloseCode::may_be_sent(code), "{code}");
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        assert!(!CloseCode::may_be_sent(code), "{code}");
    }
}

#[test]
fn payloads() {
    let refused = |payload: &[u8]| parse_close(payload).unwrap_err();
    assert_eq!(parse_close(b""), Ok(None));
    assert_eq!(refused(b"\x03"), Violation::ClosePayloadOfOneByte);
    assert_eq!(parse_close(b"\x03\xE8"), Ok(Some((CloseCode::NORMAL, ""))));
    assert_eq!(refused(b"\x03\x00"), Violation::CloseCodeForbidden);
    assert_eq!(refused(b"\x03\xED"), Violation::CloseCodeForbidden);
    assert_eq!(refused(b"\x03\xE8\xFF"), Violation::CloseReasonNotUtf8);
    let (code, reason) = parse_close(b"\x0B\xB8bye").unwrap().unwrap();
    assert_eq!((code.as_u16(), reason), (3000, "bye"));
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    for pad in 0..4 {
        let reason = "x".repeat(pad) + &"\u{1F600}".repeat(40);
        let mut payload = Vec::new();
        append_close_payload(&mut payload, CloseCode::GOING_AWAY, &reason);
        assert!(payload.len() <= CONTROL_PAYLOAD_MAX);
        assert!(
            payload.len() > CONTROL_PAYLOAD_MAX - 4,
            "no more is cut than must be"
        );
        let (code, sent) = parse_close(&payload).unwrap().unwrap();
        assert_eq!(code, CloseCode::GOING_AWAY);
        assert!(reason.starts_with(sent));
    }
}

#[test]
fn every_violation_has_the_code_of_its_section() {
    use Violation::*;
    let table = [
        (
            1002,
            &[
                ReservedBits,
                Rsv1WithoutExtension,
                Rsv1OnControl,
                Rsv1OnContinuation,
                ReservedOpcode,
                MaskMissing,
                MaskForbidden,
                LengthNotMinimal,
                LengthOverflow,
                ControlTooLong,
                ControlFragmented,
                ContinuationWithoutStart,
                MessageInsideMessage,
                ClosePayloadOfOneByte,
                CloseCodeForbidden,
            ][..],
        ),
        (1007, &[CloseReasonNotUtf8, TextNotUtf8, DeflateCorrupt]),
        (1008, &[TooManyEmptyFragments, MessageTooSlow]),
        (1009, &[MessageTooBig, InflatedTooBig]),
    ];
    for (code, violations) in table {
        for violation in violations {
            assert_eq!(violation.close_code().as_u16(), code, "{violation:?}");
            assert!(CloseCode::may_be_sent(code));
            // The reason is sent whole.
            let mut payload = Vec::new();
            append_close_payload(&mut payload, violation.close_code(), violation.reason());
            let (_, reason) = parse_close(&payload).unwrap().unwrap();
            assert_eq!(reason, violation.to_string());
        }
    }
}
