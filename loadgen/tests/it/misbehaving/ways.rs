//! The ways to be wrong, in the order in which a connection meets them.

use std::io;
use std::time::Duration;

use crate::harness::{Curtain, Wire, accept_head, echo_on, frame, hold_until, now, op};

/// A way to be wrong.
pub(super) struct Way {
    /// What the server does: "a server that ...".
    pub(super) name: &'static str,
    /// The failure that names it.
    pub(super) class: &'static str,
    pub(super) story: Story,
    /// What the generator does meanwhile.
    pub(super) load: Load,
}

/// What a generator does.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) words: &'static str,
    /// Long enough to meet the failure, where the machine has time for it.
    pub(super) seconds: u32,
    /// For a connect, and for an upgrade. Short only where it is what is tried: a server of ours that this
    /// machine kept waiting would be named for that, too.
    pub(super) connect_timeout: &'static str,
}

type Story = fn(Wire, &Curtain) -> io::Result<()>;

const fn way(name: &'static str, class: &'static str, story: Story) -> Way {
    Way {
        name,
        class,
        story,
        load: ECHO,
    }
}

const fn against(load: Load, way: Way) -> Way {
    Way { load, ..way }
}

/// A message every 100 ms over each connection.
pub(super) const ECHO: Load = Load {
    words: "--scenario echo --rate 40/s",
    seconds: 2,
    connect_timeout: "60s",
};
/// The same, for as long as a connect takes to be given up.
pub(super) const IMPATIENT: Load = Load {
    connect_timeout: "1500ms",
    seconds: 3,
    ..ECHO
};
/// Pings, and nothing that could be mistaken for an answer to them.
const IDLE: Load = Load {
    words: "--scenario idle --heartbeat 1s --alive-window 3s",
    seconds: 6,
    ..ECHO
};
/// Fills every buffer on the way within half a second.
const FAT: Load = Load {
    words: "--scenario echo --rate 2k/s --size 64k --payload binary",
    ..ECHO
};

pub(super) const WAYS: &[Way] = &[
    // Before there is anything to speak of.
    way("hangs up on accept", "closed_before_upgrade", hang_up),
    way("resets on accept", "reset_before_upgrade", |wire, _| {
        wire.reset()
    }),
    // Instead of the answer to the upgrade.
    against(
        IMPATIENT,
        way("answers nothing", "handshake_timeout", |mut wire, _| {
            wire.drain()
        }),
    ),
    way("answers 503", "status_503", |wire, _| {
        refuse(wire, "503 Service Unavailable")
    }),
    way("answers 404", "status_404", |wire, _| {
        refuse(wire, "404 Not Found")
    }),
    way("answers 301", "status_301", |wire, _| {
        refuse(wire, "301 Moved Permanently\r\nLocation: ws://127.0.0.1:1/")
    }),
    way("speaks another protocol", "bad_http", |mut wire, _| {
        wire.send(b"220 mail.example ESMTP ready\r\n\r\n")?;
        wire.drain()
    }),
    against(
        IMPATIENT,
        way("dribbles its head", "handshake_timeout", dribble),
    ),
    way("sends headers without end", "head_too_long", header_flood),
    way("forgets to upgrade", "bad_handshake", |wire, _| {
        reply(wire, |head| head.replace("Upgrade: websocket\r\n", ""))
    }),
    way("signs another key", "bad_accept_key", |mut wire, _| {
        wire.read_request()?;
        let other = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        wire.send(accept_head(other)?.as_bytes())?;
        wire.drain()
    }),
    way(
        "chooses what nobody offered",
        "bad_negotiation",
        |wire, _| {
            let chosen = "\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
            reply(wire, |head| head.replace("\r\n\r\n", chosen))
        },
    ),
    // Frames that may not exist.
    way("masks", "protocol_mask_forbidden", |wire, _| {
        say(wire, &[op::FIN | op::BINARY, 0x81, 1, 2, 3, 4, 5])
    }),
    way("sets RSV2", "protocol_reserved_bits", |wire, _| {
        say(wire, &frame(op::FIN | op::RSV2 | op::TEXT, b"x"))
    }),
    way("sets RSV1", "protocol_rsv1_without_extension", |wire, _| {
        say(wire, &frame(op::FIN | op::RSV1 | op::TEXT, b"\xaa\x00"))
    }),
    way("uses opcode 3", "protocol_reserved_opcode", |wire, _| {
        say(wire, &frame(op::FIN | 3, b"x"))
    }),
    way(
        "fragments a ping",
        "protocol_control_fragmented",
        |wire, _| say(wire, &frame(op::PING, b"x")),
    ),
    way(
        "pings with 126 bytes",
        "protocol_control_too_long",
        |wire, _| say(wire, &frame(op::FIN | op::PING, &[b'x'; 126])),
    ),
    way(
        "writes 1 in 16 bits",
        "protocol_length_not_minimal",
        |wire, _| say(wire, &[op::FIN | op::BINARY, 126, 0, 1, b'x']),
    ),
    way(
        "continues nothing",
        "protocol_continuation_without_start",
        |wire, _| say(wire, &frame(op::FIN | op::CONTINUATION, b"x")),
    ),
    way(
        "interrupts itself",
        "protocol_message_inside_message",
        |wire, _| {
            say(
                wire,
                &[frame(op::TEXT, b"x"), frame(op::TEXT, b"y")].concat(),
            )
        },
    ),
    way(
        "sends text that is none",
        "protocol_text_not_utf8",
        |wire, _| say(wire, &frame(op::FIN | op::TEXT, b"\xff\xfe")),
    ),
    way(
        "closes with 1005",
        "protocol_close_code_forbidden",
        |wire, _| say(wire, &frame(op::FIN | op::CLOSE, &1005u16.to_be_bytes())),
    ),
    way(
        "announces 2^62 bytes",
        "protocol_message_too_big",
        |wire, _| {
            say(
                wire,
                &[
                    &[op::FIN | op::BINARY, 127][..],
                    &(1u64 << 62).to_be_bytes(),
                ]
                .concat(),
            )
        },
    ),
    way(
        "fragments for ever",
        "protocol_message_too_big",
        |wire, _| {
            let piece = frame(op::CONTINUATION, &[b'x'; 60_000]);
            flood(wire, &frame(op::TEXT, b"x"), &piece)
        },
    ),
    way(
        "fragments nothing for ever",
        "protocol_too_many_empty_fragments",
        |wire, _| {
            let pieces = frame(op::CONTINUATION, b"").repeat(5000);
            flood(wire, &frame(op::TEXT, b"x"), &pieces)
        },
    ),
    // Frames that may exist, and still.
    way("closes with 1011", "closed_1011", |wire, _| {
        say(wire, &frame(op::FIN | op::CLOSE, &1011u16.to_be_bytes()))
    }),
    way(
        "hangs up without a word",
        "closed_without_frame",
        |mut wire, _| {
            wire.upgrade()?;
            wire.read_frame()?;
            wire.finish()
        },
    ),
    way("resets", "reset", |mut wire, _| {
        wire.upgrade()?;
        wire.read_frame()?;
        wire.reset()
    }),
    way("speaks unasked", "wrong_echo", chatter),
    way("reads and is silent", "answer_timeout", |wire, _| {
        say(wire, b"")
    }),
    way("floods with pings", "answer_timeout", |wire, _| {
        flood(
            wire,
            b"",
            &frame(op::FIN | op::PING, b"are you there?").repeat(2000),
        )
    }),
    against(
        FAT,
        way("stops reading", "answer_timeout", |mut wire, curtain| {
            wire.upgrade()?;
            curtain.wait();
            Ok(())
        }),
    ),
    against(
        IDLE,
        way("never answers a ping", "silent", |wire, _| say(wire, b"")),
    ),
];

/// Reads the request first: what is unread at the end would turn the FIN into a reset.
fn hang_up(mut wire: Wire, _: &Curtain) -> io::Result<()> {
    wire.read_request()?;
    wire.finish()
}

fn refuse(mut wire: Wire, status: &str) -> io::Result<()> {
    wire.read_request()?;
    wire.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
    wire.finish()
}

/// Answers the upgrade with something that was right before `spoil`.
fn reply(mut wire: Wire, spoil: impl Fn(String) -> String) -> io::Result<()> {
    let head = accept_head(&wire.read_request()?)?;
    wire.send(spoil(head).as_bytes())?;
    wire.drain()
}

/// A head that is right so far, one byte every 20 ms.
fn dribble(mut wire: Wire, _: &Curtain) -> io::Result<()> {
    let head = accept_head(&wire.read_request()?)?;
    let more = "X-Patience: is a virtue\r\n";
    let bytes = head.trim_end().bytes().chain(*b"\r\n");
    for byte in bytes.chain(more.bytes().cycle()) {
        wire.send(&[byte])?;
        hold_until(now() + Duration::from_millis(20));
    }
    Ok(())
}

fn header_flood(mut wire: Wire, _: &Curtain) -> io::Result<()> {
    let head = accept_head(&wire.read_request()?)?;
    wire.send(head.trim_end().as_bytes())?;
    loop {
        wire.send(
            b"\r\nX-Flood: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        )?;
    }
}

/// Upgrades, says this, and then only listens.
fn say(mut wire: Wire, bytes: &[u8]) -> io::Result<()> {
    wire.upgrade()?;
    wire.send(bytes)?;
    wire.drain()
}

/// Upgrades, says `first` and then `again` for ever, and never listens.
fn flood(mut wire: Wire, first: &[u8], again: &[u8]) -> io::Result<()> {
    wire.upgrade()?;
    wire.send(first)?;
    loop {
        wire.send(again)?;
    }
}

/// A faithful echo, but for the first message, which answers nothing.
fn chatter(mut wire: Wire, _: &Curtain) -> io::Result<()> {
    wire.upgrade()?;
    wire.send_frame(op::FIN | op::TEXT, b"did you know that nobody asked?")?;
    echo_on(&mut wire)
}
