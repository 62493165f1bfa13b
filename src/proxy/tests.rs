//! Headers as they are written, and everything else.

use super::fuzzing::proxy_header;
use super::*;

fn header(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    proxy_header(bytes);
    parse(bytes)
}

/// A header, and `rest` behind it that is none of it.
fn client(bytes: &[u8]) -> Result<Option<SocketAddr>, Fault> {
    let with_rest = [bytes, b"GET / HTTP/1.1\r\n"].concat();
    let header = header(&with_rest)?.expect("it is whole");
    assert_eq!(header.length, bytes.len());
    Ok(header.client)
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&BINARY_START[..], &[command, family], &length, rest].concat()
}

#[test]
fn text_headers_say_where_the_client_is() {
    let at = |text: &str| Some(text.parse().unwrap());
    let cases: [(&[u8], Option<SocketAddr>); 5] = [
        (b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n", at("203.0.113.7:40000")),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n", at("[2001:db8::7]:0")),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN whatever it is\r\n", None),
        (
            b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            at("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            client(text),
            Ok(expected),
            "{}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn text_that_is_not_quite_right_is_wrong() {
    for line in [
        "TCP4 203.0.113.7 198.51.100.1 40000",
        "TCP4 203.0.113.7 198.51.100.1 40000 443 1",
        "TCP4 203.0.113.7 198.51.100.1 40000 443 ",
        "TCP4  203.0.113.7 198.51.100.1 40000 443",
        "TCP4 203.0.113.7 198.51.100.1 040 443",
        "TCP4 203.0.113.7 198.51.100.1 +40 443",
        "TCP4 203.0.113.7 198.51.100.1 65536 443",
        "TCP4 203.0.113.007 198.51.100.1 40 443",
        "TCP4 2001:db8::7 2001:db8::1 40 443",
        "TCP6 203.0.113.7 198.51.100.1 40 443",
        "TCP4 203.0.113.7 nowhere 40 443",
        "TCP4",
        "TCP4 203.0.113.7 198.51.100.1 40000 443\n",
    ] {
        let text = format!("PROXY {line}\r\n");
        assert_eq!(header(text.as_bytes()), Err(Fault::Malformed), "{line}");
    }
    assert_eq!(
        header(b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"),
        Err(Fault::Unsupported)
    );
    assert_eq!(header(b"PROXY UNKNOWN \xFF\r\n"), Err(Fault::Malformed));
    let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
    assert_eq!(header(&endless), Err(Fault::TooLong));
}

#[test]
fn binary_headers_say_where_the_client_is() {
    let v4 = [203, 0, 113, 7, 198, 51, 100, 1, 0x9C, 0x40, 1, 0xBB];
    let mut v6 = [0; 36];
    (v6[15], v6[33]) = (7, 9);
    let extras = [&v4[..], &[4, 0, 2, 0, 0]].concat();
    let cases: [(Vec<u8>, Option<&str>); 8] = [
        (binary(0x21, 0x11, &v4), Some("203.0.113.7:40000")),
        (binary(0x21, 0x11, &extras), Some("203.0.113.7:40000")),
        (binary(0x21, 0x21, &v6), Some("[::7]:9")),
        (binary(0x21, 0x31, &[1; 216]), None),
        (binary(0x21, 0, &[]), None),
        (binary(0x20, 0, &[]), None),
        (binary(0x20, 0x11, &v4), None),
        (binary(0x20, 0xFF, &[0; 4080]), None),
    ];
    for (bytes, expected) in cases {
        let expected = expected.map(|text| text.parse().unwrap());
        assert_eq!(client(&bytes), Ok(expected), "{bytes:?}");
    }
}

#[test]
fn binary_that_is_not_quite_right_is_wrong() {
    let cases = [
        (binary(0x11, 0x11, &[0; 12]), Fault::Unsupported),
        (binary(0x31, 0x11, &[0; 12]), Fault::Unsupported),
        (binary(0x22, 0x11, &[0; 12]), Fault::Malformed),
        (binary(0x21, 0x12, &[0; 12]), Fault::Unsupported),
        (binary(0x21, 0x41, &[0; 12]), Fault::Unsupported),
        (binary(0x21, 0x11, &[0; 11]), Fault::Malformed),
        (binary(0x21, 0x21, &[0; 35]), Fault::Malformed),
        (binary(0x21, 0x31, &[0; 215]), Fault::Malformed),
        (binary(0x20, 0x00, &[0; 4081]), Fault::TooLong),
        (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Fault::Missing),
        (b"\x16\x03\x01".to_vec(), Fault::Missing),
        (b"GET / HTTP/1.1\r\n".to_vec(), Fault::Missing),
        (b"POST / HTTP/1.1\r\n".to_vec(), Fault::Missing),
        (b"proxy TCP4".to_vec(), Fault::Missing),
    ];
    for (bytes, expected) in cases {
        assert_eq!(header(&bytes), Err(expected), "{bytes:?}");
        assert_eq!(is_header(&bytes), expected != Fault::Missing, "{bytes:?}");
    }
}

#[test]
fn networks_hold_those_within() {
    let trusted = |texts: &[&str]| {
        let sources: Vec<Source> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Trusted::new(&sources)
    };
    let has = |trusted: &Trusted, ip: &str| trusted.has(Some(ip.parse().unwrap()));
    let some = trusted(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/33", "unix"]);
    for ip in [
        "10.0.0.0",
        "10.255.255.255",
        "192.0.2.7",
        "2001:db8:7fff::1",
        "::ffff:10.1.2.3",
    ] {
        assert!(has(&some, ip), "{ip}");
    }
    for ip in [
        "11.0.0.0",
        "9.255.255.255",
        "192.0.2.6",
        "2001:db8:8000::1",
        "::10.0.0.1",
    ] {
        assert!(!has(&some, ip), "{ip}");
    }
    assert!(some.has(None) && !trusted(&["0.0.0.0/0"]).has(None));
    let all = trusted(&["0.0.0.0/0", "::/0"]);
    assert!(has(&all, "255.255.255.255") && has(&all, "ffff::"));
    assert!(!has(&Trusted::default(), "127.0.0.1") && Trusted::default().is_empty());
}

#[test]
fn networks_are_written_one_way() {
    for text in [
        "10.0.0.0/8",
        "192.0.2.7",
        "2001:db8::/32",
        "::1",
        "0.0.0.0/0",
        "unix",
    ] {
        assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
    }
    assert_eq!(
        "10.0.0.1/32".parse::<Source>().unwrap().to_string(),
        "10.0.0.1"
    );
    for (text, expected) in [
        ("10.0.0.1/8", SourceError::Rest),
        ("10.0.0.0/33", SourceError::Bits),
        ("10.0.0.0/+8", SourceError::Bits),
        ("10.0.0.0/", SourceError::Bits),
        ("::/129", SourceError::Bits),
        ("10.0.0/8", SourceError::Address),
        ("localhost", SourceError::Address),
        ("", SourceError::Address),
    ] {
        assert_eq!(text.parse::<Source>(), Err(expected), "{text}");
    }
}
