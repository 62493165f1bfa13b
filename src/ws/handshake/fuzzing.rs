//! Properties that hold for every input: one line of fuzz target each, and seeds under `cargo test`.

use super::{ClientRequest, Upgrade, append_accept, check_response};
use crate::http1::{parse_head, parse_response_head};
use crate::ws::deflate::{DeflateConfig, Mode};
use crate::ws::extension::negotiate;

const HEAD_BYTES_MAX: usize = 4 << 10;

/// Any bytes as an opening request: no panic, and whatever is answered, a refusal too, is a response
/// that can be read and is not split by anything the request said.
pub fn opening_request(bytes: &[u8]) {
    let Ok(Some((head, length))) = parse_head(bytes, &mut 0, HEAD_BYTES_MAX) else {
        return;
    };
    assert!(length <= bytes.len());
    let mut answer = Vec::new();
    match Upgrade::check(&head) {
        Err(refusal) => {
            refusal.append_to(&mut answer);
            let (head, length) = read(&answer);
            assert_eq!(head, refusal.status);
            assert_eq!(&answer[length..], refusal.body.as_bytes());
        }
        Ok(upgrade) => {
            let config = DeflateConfig {
                mode: Mode::Dedicated,
                ..DeflateConfig::default()
            };
            let agreed = negotiate(&upgrade.extensions(), &config);
            let extensions = agreed.as_ref().map(|(_, answer)| answer.as_str());
            append_accept(
                &mut answer,
                &upgrade,
                upgrade.protocols().last(),
                extensions,
            );
            assert_eq!(read(&answer), (101, answer.len()));
        }
    }
}

/// Any bytes as the answer to our request: no panic, and the same verdict however they arrive.
pub fn opening_response(bytes: &[u8]) {
    let deflate = DeflateConfig {
        mode: Mode::Dedicated,
        window_bits: 15,
        ..DeflateConfig::default()
    };
    let request = ClientRequest {
        host: "h",
        target: "/",
        key: [0; 16],
        origin: None,
        protocols: &["a", "b"],
        deflate: &deflate,
        headers: &[],
    };
    let at_once = check_response(bytes, &mut 0, &request);
    let at_once = at_once.map(|found| found.map(|(accepted, length)| (accepted.agreed, length)));
    let mut scanned = 0;
    for length in 0..=bytes.len() {
        let found = check_response(&bytes[..length], &mut scanned, &request);
        match found.map(|found| found.map(|(accepted, length)| (accepted.agreed, length))) {
            Ok(None) => {}
            verdict => return assert_eq!(verdict, at_once),
        }
    }
    assert_eq!(at_once, Ok(None));
}

/// Status and length of a response head of ours.
fn read(answer: &[u8]) -> (u16, usize) {
    let (head, length) = parse_response_head(answer, &mut 0, usize::MAX)
        .expect("ours is well-formed")
        .expect("ours is complete");
    (head.status, length)
}
