//! What the memory ledger says about protocol code, counted by an allocator that keeps the books
//! per thread: the hot paths allocate nothing, and a documented size is the size.

use allocation_counter::{AllocationInfo, measure};
use throng::http1::parse_head;
use throng::ws::deflate::{
    Agreed, Codec, Compression, DeflateConfig, Half, INFLATER_BYTES, Mode, Progress, WINDOW_BITS,
    deflater_bytes,
};
use throng::ws::handshake::{ClientRequest, Upgrade, append_accept, append_request};

const BOTH: DeflateConfig = DeflateConfig {
    mode: Mode::Dedicated,
    window_bits: 15,
    level: 6,
    min_bytes: 1,
    inflaters_max: 4,
};

#[test]
fn a_handshake_allocates_nothing() {
    let off = DeflateConfig::default();
    let request = ClientRequest {
        host: "example.com",
        target: "/chat?token=1",
        key: [7; 16],
        origin: Some("https://example.com"),
        protocols: &["chat"],
        deflate: &off,
        headers: &[("User-Agent", "test"), ("Cookie", "a=b; c=d")],
    };
    let (mut sent, mut answer) = (Vec::new(), Vec::with_capacity(4096));
    append_request(&mut sent, &request).unwrap();
    let counted = measure(|| {
        let (head, _) = parse_head(&sent, &mut 0, 16 << 10).unwrap().unwrap();
        let upgrade = Upgrade::check(&head).unwrap();
        assert_eq!(upgrade.extensions(), "");
        append_accept(&mut answer, &upgrade, upgrade.protocols().next(), None);
    });
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    assert_eq!(counted, AllocationInfo::default());
}

#[test]
fn a_refusal_allocates_nothing() {
    let mut answer = Vec::with_capacity(4096);
    let counted = measure(|| {
        let text = b"GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
        let (head, _) = parse_head(text, &mut 0, 16 << 10).unwrap().unwrap();
        Upgrade::check(&head).unwrap_err().append_to(&mut answer);
    });
    assert!(answer.starts_with(b"HTTP/1.1 426"));
    assert_eq!(counted, AllocationInfo::default());
}

#[test]
fn a_deflater_has_its_documented_size() {
    let text = b"to be or not to be, that is the question: to be or not to be";
    for window_bits in WINDOW_BITS {
        let mut codec = Codec::new(&BOTH);
        let half = Half::new(window_bits, false);
        let first = measure(|| assert!(codec.compress_alone(half, text).is_some()));
        let output = text.len() as i64 + 4;
        close_to(first.bytes_current - output, deflater_bytes(window_bits));
        let again = measure(|| assert!(codec.compress_alone(half, text).is_some()));
        assert_eq!(
            again,
            AllocationInfo::default(),
            "a message needs no memory"
        );
    }
}

#[test]
fn an_inflater_has_its_documented_size() {
    let mut codec = Codec::new(&BOTH);
    let half = Half::new(15, false);
    let message = codec.compress_alone(half, &[0; 100_000]).unwrap().to_vec();
    let agreed = Agreed {
        ours: half,
        theirs: half,
    };
    let mut link = Compression::new(Some(agreed));
    let mut lent = Vec::with_capacity(4);
    for turn in 0..3 {
        let (mut ongoing, mut out) = (None, Vec::with_capacity(100_000));
        codec.refill(1);
        let counted = measure(|| {
            let progress = codec.inflate(&mut link, &mut ongoing, &message, &mut out, 100_000);
            assert_eq!(progress, Ok(Progress::Yield));
        });
        // The first also makes the scratch that all of them share.
        if turn > 0 {
            close_to(counted.bytes_current, INFLATER_BYTES);
        }
        lent.push(ongoing);
    }
}

#[test]
fn a_connection_pays_for_its_windows_alone() {
    let text: Vec<u8> = (0..5000u32)
        .flat_map(|n| (n % 97).to_string().into_bytes())
        .collect();
    for (window_bits, keeps_context) in [(8, true), (12, true), (15, false)] {
        let half = Half::new(window_bits, keeps_context);
        let agreed = Agreed {
            ours: half,
            theirs: half,
        };
        let mut codec = Codec::new(&BOTH);
        let mut out = Vec::with_capacity(text.len());
        // The worker's share is allocated by a connection that is gone.
        round_trip(
            &mut codec,
            &mut Compression::new(Some(agreed)),
            &text,
            &mut out,
        );
        let mut link = Compression::new(Some(agreed));
        let message = codec.compress_alone(half, &text).unwrap().to_vec();
        let counted = measure(|| {
            assert!(codec.compress(&mut link, &text).is_some());
            inflate(&mut codec, &mut link, &message, &mut out);
        });
        assert_eq!(counted.bytes_current, link.held_bytes() as i64);
        let windows = if keeps_context {
            48 + (2 << window_bits)
        } else {
            0
        };
        assert_eq!(link.held_bytes(), windows);
    }
}

fn round_trip(codec: &mut Codec, link: &mut Compression, text: &[u8], out: &mut Vec<u8>) {
    let message = codec.compress(link, text).expect("it shrinks").to_vec();
    inflate(codec, link, &message, out);
    assert!(out == text);
}

fn inflate(codec: &mut Codec, link: &mut Compression, message: &[u8], out: &mut Vec<u8>) {
    out.clear();
    codec.refill(usize::MAX);
    let progress = codec.inflate(link, &mut None, message, out, out.capacity());
    assert_eq!(progress, Ok(Progress::Done));
}

/// Within 1 %: alignment and the state's padding are the library's business.
fn close_to(measured: i64, documented: usize) {
    let documented = documented as i64;
    let difference = (measured - documented).abs();
    assert!(
        difference * 100 <= documented,
        "{measured} bytes measured, {documented} documented"
    );
}
