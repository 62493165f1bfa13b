#!/usr/bin/env python3
"""Writes seeds/TARGET/NAME: small inputs that reach every branch of the property they feed.

Run it after adding a line here; findings that were fixed are added by hand under a name of their
own, which this script leaves alone. `cargo test` replays whatever is in the directories.
"""

import pathlib
import struct
import zlib

SEEDS = pathlib.Path(__file__).resolve().parent / "seeds"
MASK = b"\x37\xfa\x21\x3d"


def frame(first, payload, masked=True, length=None):
    """A frame; `length` overrides what the header announces."""
    bit, size = (0x80 if masked else 0), len(payload) if length is None else length
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 1 << 16:
        head = bytes([first, bit | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, bit | 127]) + struct.pack(">Q", size)
    if masked:
        head += MASK
        payload = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))
    return head + payload


def deflated(text, level=6, bits=15):
    """The payload of a compressed message: RFC 7692, 7.2.1."""
    squeeze = zlib.compressobj(level, zlib.DEFLATED, -bits)
    whole = squeeze.compress(text) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    return whole.removesuffix(b"\x00\x00\xff\xff")


def request(*lines, start="GET /echo HTTP/1.1"):
    upgrade = [
        "Host: example.test:9000",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    return "\r\n".join([start, *upgrade, *lines, "", ""]).encode("latin-1")


def response(*lines, start="HTTP/1.1 101 Switching Protocols"):
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


TEXT = "Grüße, κόσμε 🙂".encode()

REQUESTS = {
    "upgrade": request(),
    "browser": request(
        "Origin: https://example.test",
        "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "Cookie: a=b; c=\"d\"",
    ),
    "query": request(start="GET /echo?a=b&c=%20 HTTP/1.1"),
    "absolute": request(start="GET http://example.test/echo HTTP/1.1"),
    "star": request(start="OPTIONS * HTTP/1.1"),
    "two-hosts": request("Host: other.test"),
    "chunked": request("Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "length": request("Content-Length: 5") + b"hello",
    "folded": request("X-Long: a", " b"),
    "blank-before-colon": request("X-Blank : a"),
    "nameless": request(": a"),
    "control": request("X-Nul: a\0b"),
    "bare-cr": request("X-Cr: a\rb"),
    "bare-lf": request().replace(b"\r\n", b"\n"),
    "latin": request("X-Latin: caf\xe9"),
    "http10": request(start="GET / HTTP/1.0"),
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "unfinished": request()[:-3],
    "too-long": request("X-Long: " + "a" * 1200),
    "many": request(*["X: 1"] * 110),
    "frames-behind": request() + frame(0x81, TEXT),
}

ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
RESPONSES = {
    "accepted": response("Upgrade: websocket", "Connection: Upgrade", ACCEPT),
    "deflate": response(ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate"),
    "refused": response("Content-Length: 2", start="HTTP/1.1 426 Upgrade Required") + b"no",
    "no-reason": response(start="HTTP/1.1 200"),
    "http10": response(start="HTTP/1.0 200 OK"),
    "bad-status": response(start="HTTP/1.1 99 Low"),
    "latin-reason": response(start="HTTP/1.1 200 caf\xe9"),
    "unfinished": b"HTTP/1.1 101 Switching Protocols\r\nUpgr",
}

EXTENSIONS = {
    "plain": b"permessage-deflate",
    "chrome": b"permessage-deflate; client_max_window_bits",
    "everything": b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
    b"server_max_window_bits=10; client_max_window_bits=12",
    "quoted": b'permessage-deflate; server_max_window_bits="9"',
    "fallback": b"permessage-deflate; server_max_window_bits=8, permessage-deflate",
    "too-many-bits": b"permessage-deflate; server_max_window_bits=16",
    "leading-zero": b"permessage-deflate; client_max_window_bits=08",
    "huge-number": b"permessage-deflate; client_max_window_bits=99999999999999999999",
    "twice": b"permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "value-on-flag": b"permessage-deflate; client_no_context_takeover=1",
    "unknown": b"x-webkit-deflate-frame, permessage-deflate; colour=blue",
    "empty-items": b", ,permessage-deflate ;,",
    "open-quote": b'permessage-deflate; a="\\',
}



def number(value):
    """LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def text(value):
    return number(len(value)) + value


def published(offset, payload=b"{}", kind=0, publisher=b"\x00", tags=()):
    """A record of the history's log: channel, epoch, offset, time, payload and who published it."""
    head = b"\x01" + text(b"chat:room") + number(7) + number(offset) + number(1_800_000_000_000)
    tail = b"".join(text(part) for pair in tags for part in pair)
    return head + bytes([kind]) + text(payload) + publisher + b"\x00" + number(len(tags)) + tail


def stands(offset, forgotten):
    return b"\x02" + text(b"chat:room") + b"".join(map(number, (7, offset, forgotten, 9)))


def log(*batches):
    """A file of the history: its header, and batches with their checksums."""
    salt = struct.pack("<I", 0x5EEDCAFE)
    head = b"ThrongJ1" + struct.pack("<Q", 1) + salt + b"\x00" + struct.pack("<Q", 2) + b"\x07" * 16
    out = head + struct.pack("<I", zlib.crc32(head))
    for records in batches:
        front = salt + struct.pack("<I", len(records))
        out += front + struct.pack("<I", zlib.crc32(front + records)) + records
    return out


CLIENT = b"\x01" + text(b"bob") + bytes(range(16)) + b"\x01" + text(b'{"a":1}') + b"\x00"
LOG = log(stands(4, 2) + published(3), published(4, b"hi", 1, CLIENT), b"\x03" + number(0) + number(2) + number(9))
JOURNALS = {
    "record": published(1),
    "record-with-client-and-tags": published(2, b"\x00\xff", 2, CLIENT, [(b"a", b"b"), (b"", b"")]),
    "records": stands(4, 2) + published(3) + published(4),
    "begins": b"\x03" + number(1) + number(3) + number(77),
    "no-json": published(1, b"{"),
    "no-utf8": published(1, b"\xff", 1),
    "offset-0": published(0),
    "forgets-more-than-there-is": stands(2, 3),
    "endless-tags": published(1)[:-1] + number(1 << 40),
    "overlong-number": b"\x03\x80\x00\x01\x01",
    "number-beyond-64-bits": b"\x03" + b"\xff" * 9 + b"\x7f",
    "file": LOG,
    "file-that-ended": log(published(1), b"\xff"),
    "file-torn": LOG[:-3],
    "file-damaged": LOG[:70] + b"\x00" + LOG[71:],
    "file-of-a-gap": log(published(1), published(3), published(4)),
    "header-only": log(),
    "header-torn": log()[:30],
}

STREAMS = {
    "text": frame(0x81, TEXT),
    "binary-126": frame(0x82, bytes(range(126))),
    "binary-300": frame(0x82, bytes(300)),
    "empty": frame(0x81, b""),
    "fragments": frame(0x01, TEXT[:3]) + frame(0x00, TEXT[3:9]) + frame(0x80, TEXT[9:]),
    "ping-within": frame(0x01, b"a") + frame(0x89, b"ping") + frame(0x80, b"b"),
    "pong": frame(0x8A, b"pong"),
    "close": frame(0x88, b"\x03\xe8bye") + frame(0x81, b"late"),
    "close-empty": frame(0x88, b""),
    "close-short": frame(0x88, b"\x03"),
    "close-code": frame(0x88, struct.pack(">H", 1005)),
    "close-utf8": frame(0x88, b"\x03\xe8\xff"),
    "bad-utf8": frame(0x81, b"abc\xed\xa0\x80"),
    "cut-code-point": frame(0x01, b"\xe2\x82") + frame(0x80, b"\xac"),
    "never-whole": frame(0x81, b"\xe2\x82"),
    "reserved-opcode": frame(0x83, b"x"),
    "rsv": frame(0xA1, b"x"),
    "compressed": frame(0xC1, deflated(TEXT)),
    "too-big": frame(0x82, b"some of it", length=5000),
    "huge": frame(0x82, b"", length=(1 << 63) - 1),
    "sign-bit": frame(0x82, b"", length=1 << 63),
    "sign-bit-without-key": b"\x81\xff\xff" + bytes(7),
    "not-minimal-without-key": b"\x81\xfe\x00\x05",
    "not-minimal": b"\x82\xfe\x00\x05" + MASK + b"hello",
    "long-ping": frame(0x89, bytes(126)),
    "empty-fragments": frame(0x01, b"") + frame(0x00, b"") * 12,
    "interleaved": frame(0x01, b"a") + frame(0x81, b"b"),
    "unmasked": frame(0x81, TEXT, masked=False),
    "unmasked-fragments": frame(0x01, TEXT[:2], masked=False) + frame(0x80, TEXT[2:], masked=False),
    "unmasked-close": frame(0x88, b"\x03\xe9", masked=False),
    "unfinished": frame(0x81, TEXT)[:9],
}

TEXTS = {
    "ascii": b"plain",
    "mixed": TEXT,
    "edges": "\x00\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode(),
    "overlong": b"a\xc0\xaf",
    "overlong-3": b"\xe0\x80\xaf",
    "surrogate": b"abc\xed\xa0\x80",
    "too-high": b"\xf4\x90\x80\x80",
    "cut": TEXT[:-1],
    "stray": b"\x80",
    "long": b"x" * 70 + TEXT + b"y" * 70 + b"\xff",
}

DEFLATED = {
    "hello": b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    "stored": b"\x00\x05\x00\xfa\xffHello\x00",
    "final": b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    "two-blocks": b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    "back-reference": b"\xf2\x00\x11\x00\x00",
    "dynamic": deflated(b"".join(bytes([at * at % 97 + 30]) * (at % 5) for at in range(400))),
    "small-window": deflated(TEXT * 40, bits=9),
    "bomb": deflated(bytes(200_000), level=9),
    "reserved-block": b"\x07\xff\xff",
    "empty": b"",
    "empty-block": b"\x00",
    "cut": deflated(TEXT * 9)[:-4],
    "far-distance": b"\x4b\x04\x92\x00\x00",
}

HELLO = DEFLATED["hello"]
COMPRESSED = {
    "text": frame(0xC1, deflated(TEXT * 20)),
    "binary": frame(0xC2, deflated(bytes(2000))),
    "twice": frame(0xC1, HELLO) + frame(0xC1, DEFLATED["back-reference"]),
    "fragments": frame(0x41, HELLO[:2]) + frame(0x89, b"p") + frame(0x00, b"") + frame(0x80, HELLO[2:]),
    "plain-between": frame(0xC1, HELLO) + frame(0x81, TEXT) + frame(0xC1, HELLO),
    "rsv-on-continuation": frame(0x41, HELLO[:2]) + frame(0xC0, HELLO[2:]),
    "rsv-on-ping": frame(0xC9, b"x"),
    "bomb": frame(0xC2, deflated(bytes(200_000), level=9)),
    "not-utf8": frame(0xC1, deflated(b"caf\xe9 au lait")),
    "garbage": frame(0xC1, b"\x07\xff\xff"),
    "unmasked": frame(0xC1, HELLO, masked=False) + frame(0xC1, deflated(TEXT), masked=False),
}

# Verb and amount: pieces of application bytes, a refresh, an alert, any inner plaintext, damage.
REFRESH, CLOSE = b"\x02\x00", b"\x03\x00"
UPDATE = b"\x18\x00\x00\x01"


def app(amount, pieces=0):
    return bytes([pieces << 4, amount])


def inner(content, kind):
    return bytes([4, len(content) + 1]) + content + bytes([kind])


RECORDS = {
    "message": app(20),
    "burst": app(255, pieces=15) + app(3),
    "over-a-record": app(255, pieces=15) * 4,
    "refresh": app(5) + REFRESH + app(5) + REFRESH + app(0),
    "close": app(5) + CLOSE + app(5),
    "alert": app(5) + b"\x03\x14",
    "empty": app(0) + inner(b"", 23) * 33,
    "tickets": inner(b"\x04\x00\x00\x02ab\x04\x00\x00\x00", 22) + app(2),
    "update": inner(UPDATE + b"\x00", 22) + app(2),
    "update-asks": inner(UPDATE + b"\x01", 22),
    "update-value": inner(UPDATE + b"\x02", 22),
    "update-not-last": inner(UPDATE + b"\x00" + UPDATE + b"\x00", 22),
    "hello": inner(b"\x01\x00\x00\x00", 22),
    "cut-message": inner(UPDATE, 22),
    "padded": inner(b"abc\x17" + bytes(40), 0),
    "only-padding": inner(bytes(30), 0),
    "canceled": inner(b"\x01\x5a", 21) + app(1),
    "short-alert": inner(b"\x01", 21),
    "no-type": inner(b"abc", 99),
    "damaged-tag": app(9) + b"\x05\x00" + app(9),
    "damaged-header": app(9) + b"\x05\x0a" + app(9),
}


def dialogue(choice, size, *instructions, damaged_at=0):
    """The first byte chooses suite, modes and version; see `tls_connection`."""
    return bytes([choice, size]) + struct.pack(">H", damaged_at) + b"".join(instructions)


RUSTLS, TLS12, HYBRID, STRANGER, MIXED = 4, 8, 16, 32, 64
TALK = [b"\x00\x10", b"\x01\x10", b"\xf0\xff", b"\x04\x00", b"\x00\x05", b"\x05\x00", b"\x0c\x00", b"\x01\x09"]
HELLO_12 = bytes.fromhex(
    "16030100330100002f0303" + "07" * 32 + "000004c02bc02f0100000200000000"
)
DIALOGUES = {
    "compact": dialogue(0, 0, *TALK),
    "compact-256": dialogue(1, 50, *TALK),
    "compact-chacha": dialogue(2, 99, *TALK),
    "rustls": dialogue(RUSTLS, 0, *TALK),
    "hybrid": dialogue(HYBRID, 200, *TALK),
    "older": dialogue(TLS12 | RUSTLS, 0, *TALK),
    "mixed": dialogue(MIXED, 0, *TALK),
    "mixed-back": dialogue(MIXED | RUSTLS, 30, *TALK),
    "bytewise": dialogue(0, 1, *TALK),
    "damaged-hello": dialogue(0, 0, *TALK, damaged_at=60),
    "damaged-finished": dialogue(0, 0, *TALK, damaged_at=280),
    "damaged-message": dialogue(MIXED, 100, *TALK, damaged_at=360),
    "stranger-hello": dialogue(STRANGER, 3, HELLO_12),
    "stranger-http": dialogue(STRANGER, 0, b"GET / HTTP/1.1\r\n\r\n"),
    "stranger-long": dialogue(STRANGER, 9, b"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + bytes(900)),
    "refreshes": dialogue(MIXED | RUSTLS, 51, b"\x6d\x00", b"\xa4\x00", b"\x02\x00", b"\x24\x00"),
}

COMMANDS = {
    "pong": b"{}",
    "connect": b'{"id":1,"connect":{"token":"a.b.c","data":{"x":1},"name":"js","version":"1"}}',
    "connect-back": b'{"id":1,"connect":{"subs":{"a":{"recover":true,"offset":7,"epoch":"0000000a"},"b":{}}}}',
    "subscribe": b'{"id":2,"subscribe":{"channel":"a","token":"t","flag":3,"recover":true,"offset":7,'
    b'"epoch":"x","positioned":true,"recoverable":true,"join_leave":true,"data":[1]}}',
    "several": b'{"id":3,"publish":{"channel":"a","data":{"text":"\\n"}}}\n\n'
    b'{"id":4,"presence":{"channel":"a"}}\r\n{"id":5,"presence_stats":{"channel":"a"}}\n'
    b'{"id":6,"unsubscribe":{"channel":"a"}}\n{}\n{"id":7,"ping":{}}',
    "history": b'{"id":8,"history":{"channel":"a","limit":-1,"reverse":true,"since":{"offset":1,"epoch":"e"}}}',
    "call": b'{"id":9,"rpc":{"method":"m","data":null}}\n{"send":{"data":[[[{}]]]}}\n{"id":1,"new":{}}',
    "refresh": b'{"id":10,"refresh":{"token":"t"}}\n{"id":11,"sub_refresh":{"channel":"a","token":"t"}}',
    "no-id": b'{"ping":{}}',
    "broken-behind": b'{"id":1,"ping":{}}\n{"id":2,"publish":{"channel":"a","data":{x}}}\n{}',
    "too-many": b"{}\n" * 17,
    "deep": b'{"id":1,"publish":{"channel":"a","data":' + b"[" * 400 + b"]" * 400 + b"}}",
}
CHATS = {
    "message": b'{"type":"message","to":"bob","text":"Hello!","id":"m1","timestamp":1790000000000}',
    "room": b'{"type":"message","room":"r","text":"\\ud83d\\ude42\\n","id":-1.5e3}',
    "both": b'{"type":"message","to":"bob","room":"r","text":"x"}',
    "join": b'{"type":"join","room":"r","since":41,"epoch":"0000000a"}',
    "leave": b'{"type":"leave","room":"r"}',
    "odd-id": b'{"type":"message","to":"b","text":"","id":{"a":[]}}',
    "spaced": b' { "text" : "x" , "to" : "b" , "type" : "mess\\u0061ge" , "more" : [ ] } ',
    "plain": b"hello",
}
PATHS = {
    "plain": b"/raw/room",
    "namespace": b"/raw/chat:room%3A1/x",
    "umlaut": b"/raw/r%C3%A4ume",
    "cut": b"/raw/a%4",
    "no-hex": b"/raw/%g0",
    "no-text": b"/raw/%ff",
    "elsewhere": b"/echo",
}

JWT = b"eyJhbGciOiJIUzI1NiJ9"
TOKENS = {
    "dots": b"\x00..",
    "no-signature": b"\x00" + JWT + b".eyJzdWIiOiJib2IifQ.",
    "alg-none": b"\x00eyJhbGciOiJub25lIn0.eyJzdWIiOiJib2IifQ.",
    "odd-base64": b"\x00" + JWT + b".e30=.x+/",
    "claims": b'\x01{"sub":"bob","exp":1790000060,"nbf":0,"iss":"a","aud":["a","b"],"info":{"n":1},"meta":[]}',
    "claims-subs": b'\x01{"sub":"bob","exp":1790000060.5,"channels":["a"],"subs":{"b":{"info":1}},"expire_at":0}',
    "claims-channel": b'\x01{"sub":"bob","exp":1790000060,"channel":"a","client":"c","info":"x"}',
    "claims-expired": b'\x01{"sub":"bob","exp":1}',
    "claims-odd": b'\x01{"sub":"bob","exp":"1790000060","aud":7}',
    "claims-huge": b'\x01{"sub":"bob","exp":1e999}',
    "head-query": b"\x02https://a.test\na.test\nx=1&token=a.b.c",
    "head-bearer": b"\x02\n\n\nBearer a.b.c\n",
    "head-cookie": b"\x02null\n[::1]:9000\n\nBasic x\ny=1; t=a.b.c",
    "head-origin": b"\x02http://[::1]:9000\n[::1]:9000",
}


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PROXIED = {
    "tcp4": b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\nGET / HTTP/1.1\r\n",
    "tcp6": b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n",
    "unknown": b"PROXY UNKNOWN some more\r\n",
    "longest": b"PROXY TCP6 " + b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff " * 2 + b"65535 65535\r\n",
    "endless": b"PROXY TCP4 " + b"1" * 200,
    "cut": b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r",
    "two-spaces": b"PROXY TCP4  203.0.113.7 198.51.100.1 40000 443\r\n",
    "zero-padded": b"PROXY TCP4 203.0.113.7 198.51.100.1 040 443\r\n",
    "binary-tcp4": SIGNATURE + b"\x21\x11\0\x0c" + bytes([203, 0, 113, 7, 198, 51, 100, 1, 156, 64, 1, 187]) + b"GET",
    "binary-tcp6": SIGNATURE + b"\x21\x21\0\x24" + bytes(36),
    "binary-unix": SIGNATURE + b"\x21\x31\0\xd8" + bytes(216),
    "binary-local": SIGNATURE + b"\x20\0\0\0",
    "binary-extras": SIGNATURE + b"\x21\x11\0\x11" + bytes(12) + b"\4\0\2\0\0",
    "binary-too-long": SIGNATURE + b"\x20\0\xff\xff",
    "binary-short": SIGNATURE + b"\x21\x11\0\x0b" + bytes(11),
    "binary-version": SIGNATURE + b"\x11\x11\0\x0c" + bytes(12),
    "hello": b"\x16\x03\x01\x02\0",
}


def main():
    write("proxy_header", PROXIED)
    write("token", TOKENS)
    write("centrifuge_commands", COMMANDS)
    write("chat_request", CHATS)
    write("raw_path", PATHS)
    write("journal", JOURNALS)
    write("request_head", REQUESTS)
    write("response_head", RESPONSES)
    write("extension_header", EXTENSIONS)
    write("utf8", TEXTS)
    # The first byte is the size of the chunks, and whether compression was agreed on.
    write("frame_stream", {name: b"\x03" + stream for name, stream in STREAMS.items()})
    write("frame_stream", {f"deflate-{name}": b"\x83" + stream for name, stream in COMPRESSED.items()})
    write("frame_stream", {f"takeover-{name}": b"\xc7" + stream for name, stream in COMPRESSED.items()})
    # The first byte chooses the window, and whether it is kept.
    write("inflate", {name: b"\x0f" + payload for name, payload in DEFLATED.items()})
    write("inflate", {f"{name}-8-bit": b"\x00" + payload for name, payload in DEFLATED.items()})
    write("connection", dict(connections()))
    write("tls_connection", DIALOGUES)
    # The first byte chooses suite and direction, the second the size of the pieces.
    write("record_layer", {name: b"\x00\x03" + script for name, script in RECORDS.items()})
    write("record_layer", {f"client-{name}": b"\x05\x07" + script for name, script in RECORDS.items()})


def connections():
    """The first byte is the peer's manners, the second the size of the pieces."""
    for name, stream in STREAMS.items():
        yield name, b"\x01\xff" + stream
    for name in ("upgrade", "two-hosts", "browser", "http2", "unfinished", "frames-behind"):
        yield f"request-{name}", b"\x00\x07" + REQUESTS[name]
    echoes = frame(0x82, bytes(900)) * 4
    yield "short-writes", b"\x13\xff" + echoes
    yield "blocked", b"\x07\x10" + echoes
    yield "blocked-short", b"\x27\x40" + echoes
    yield "reset", b"\x09\x05" + frame(0x81, TEXT)
    yield "bytewise", b"\x01\x01" + frame(0x01, TEXT) + frame(0x89, b"p") + frame(0x80, b"")
    yield "deflated", b"\x01\xff" + frame(0xC1, deflated(TEXT * 30)) + frame(0xC2, deflated(bytes(9000)))


def write(target, seeds):
    place = SEEDS / target
    place.mkdir(parents=True, exist_ok=True)
    for name, content in seeds.items():
        (place / name).write_bytes(content)


if __name__ == "__main__":
    main()
