//! One subject many times and nothing else: what valgrind counts and perf samples.
//!
//! `repeat handshake-short|handshake-browser|echo-BYTES TIMES`

use std::hint::black_box;
use std::time::Instant;

use micro::world::World;
use throng::http1::parse_head;
use throng::ws::handshake::{Upgrade, append_accept};

const USAGE: &str = "repeat handshake-short|handshake-browser|echo-BYTES TIMES";

fn main() {
    let mut words = std::env::args().skip(1);
    let subject = words.next().expect(USAGE);
    let times: u32 = words.next().and_then(|n| n.parse().ok()).expect(USAGE);
    let mut run: Box<dyn FnMut()> = match subject.as_str() {
        "handshake-short" => handshake(micro::SHORT_REQUEST),
        "handshake-browser" => handshake(micro::BROWSER_REQUEST),
        echo => {
            let bytes = echo.strip_prefix("echo-").and_then(|n| n.parse().ok());
            let payload = micro::json(bytes.expect(USAGE));
            let mut world = World::new(1, &micro::masked_frame(&payload));
            Box::new(move || assert!(black_box(world.turn()) > 0))
        }
    };
    let began = Instant::now();
    (0..times).for_each(|_| run());
    let each = began.elapsed() / times;
    println!("{subject}: {each:?} each");
}

fn handshake(request: &'static str) -> Box<dyn FnMut()> {
    let mut out = Vec::with_capacity(1024);
    Box::new(move || {
        out.clear();
        let bytes = black_box(request.as_bytes());
        let (head, _) = parse_head(bytes, &mut 0, 16 << 10)
            .expect("well-formed")
            .expect("complete");
        let upgrade = Upgrade::check(&head).expect("an upgrade");
        black_box(upgrade.extensions());
        append_accept(&mut out, &upgrade, None, None);
        black_box(&mut out);
    })
}
