//! The admin port from outside: health, metrics, the key, and clients that hang.

mod metrics;
mod real;

use std::collections::BTreeMap;
use std::net::TcpListener;

use crate::harness::{Http, Launch, Server, Wire, op};

const KEY: &str = "a-key-of-the-tests-0123456789";

/// Answers are asked for until one fits: what is counted is published between turns.
const LOOKS_MAX: u32 = 20_000;

fn launch() -> Launch {
    Launch::new()
        .admin("127.0.0.1:0")
        .env("THRONG_ADMIN_KEY", KEY)
}

fn admin(server: &Server) -> Http {
    Http::connect(server.admin_addr())
}

/// The figures of a page, by name and labels; every line of it is understood, or the test fails.
fn figures(page: &str) -> BTreeMap<String, f64> {
    let (mut figures, mut family) = (BTreeMap::new(), None);
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, sentence) = rest.split_once(' ').unwrap();
            assert!(sentence.ends_with('.'), "{line}");
            family = Some((name, None));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let (helped, _) = family.expect("HELP comes first");
            assert_eq!(helped, name);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            family = Some((name, Some(kind)));
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(
                matches!(family, Some((known, Some(_))) if known == name),
                "{line}"
            );
            if let Some(labels) = series
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('{'))
            {
                let labels = labels.strip_suffix("\"}").expect("labels end");
                assert!(labels.contains("=\""), "{line}");
            }
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(
                figures.insert(series.to_owned(), value).is_none(),
                "twice: {line}"
            );
        }
    }
    figures
}

fn until(server: &Server, what: &str, holds: impl Fn(&BTreeMap<String, f64>) -> bool) {
    let mut http = admin(server);
    for _ in 0..LOOKS_MAX {
        let page = http.get("/metrics");
        assert_eq!(page.status, 200);
        assert!(
            page.head.contains("text/plain; version=0.0.4"),
            "{}",
            page.head
        );
        if holds(&figures(&page.body)) {
            return;
        }
    }
    panic!("never happened: {what}; {}", http.get("/metrics").body);
}

#[test]
fn metrics_count_what_a_client_counts() {
    let server = launch().workers(2).start();
    let mut wires: Vec<_> = (0..20).map(|_| Wire::open(server.addr())).collect();
    for wire in &mut wires {
        wire.echo(op::TEXT, b"one");
    }
    wires.truncate(15);
    until(&server, "what was done is counted", |figures| {
        let workers =
            |worker| figures[&format!("throng_worker_connections{{worker=\"{worker}\"}}")];
        figures["throng_websockets"] == 15.0
            && figures["throng_websockets_opened_total"] == 20.0
            && figures["throng_websockets_ended_total"] == 5.0
            && figures["throng_messages_received_total"] == 20.0
            && workers(0) + workers(1) == 15.0
            && figures["throng_ledger_bytes{kind=\"entries\"}"] == 15.0 * 64.0
    });
    let figures = figures(&admin(&server).get("/metrics").body);
    assert!(
        figures["process_resident_memory_bytes"] > 1e6,
        "{figures:?}"
    );
    assert!(figures["process_cpu_seconds_total"] > 0.0, "{figures:?}");
    assert!(figures["process_start_time_seconds"] > 1.7e9, "{figures:?}");
    assert_eq!(figures["throng_ready"], 1.0);
    let build = format!(
        "throng_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(figures[&build], 1.0);
}

#[test]
fn it_is_ready_until_it_drains_and_alive_until_it_ends() {
    let server = launch().flag("drain-secs", "1h").start();
    let mut wire = Wire::open(server.addr());
    wire.echo(op::TEXT, b"one that stays");
    let mut http = admin(&server);
    let ready = http.get("/healthz/ready");
    assert_eq!((ready.status, &*ready.body), (200, "ok\n"));
    server.signal("TERM");
    let not_ready = (0..LOOKS_MAX).map(|_| http.get("/healthz/ready"));
    let not_ready = { not_ready }.find(|answer| answer.status != 200);
    let not_ready = not_ready.expect("the signal arrives");
    assert_eq!(not_ready.status, 503);
    assert!(not_ready.body.contains("draining"), "{}", not_ready.body);
    let live = http.get("/healthz/live");
    assert_eq!(
        (live.status, &*live.body),
        (200, "ok\n"),
        "who drains is alive"
    );
    assert_eq!(figures(&http.get("/metrics").body)["throng_draining"], 1.0);
}

#[test]
fn a_full_server_is_not_ready() {
    let server = launch().flag("max-connections", 1).start();
    let _wire = Wire::open(server.addr());
    let answer = admin(&server).get("/healthz/ready");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("full"), "{}", answer.body);
}

#[test]
fn the_api_opens_with_its_key_only() {
    let server = launch().start();
    let mut http = admin(&server);
    let wrong = [
        String::new(),
        "X-API-Key: \r\n".to_owned(),
        "X-API-Key: a-key-of-the-tests-012345678\r\n".to_owned(),
        format!("X-API-Key: {KEY}x\r\n"),
        format!("X-API-Key: {}\r\n", KEY.to_uppercase()),
        format!("Authorization: Bearer {KEY}\r\n"),
        format!("Authorization: {KEY}\r\n"),
        format!("X-API-Key: {KEY}\r\nX-API-Key: {KEY}\r\n"),
        format!("Cookie: X-API-Key={KEY}\r\n"),
    ];
    let mut told = Vec::new();
    for headers in wrong {
        let mut http = admin(&server);
        let answer = http.post("/api/info", &headers, "{}");
        assert_eq!(answer.status, 401, "{headers}");
        assert!(
            answer.head.contains("WWW-Authenticate: apikey\r\n"),
            "{}",
            answer.head
        );
        assert!(http.is_over(), "its body is not read");
        told.push(answer.body);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "all are told the same: {told:?}");
    let in_query = format!("/api/info?api_key={KEY}");
    assert_eq!(admin(&server).post(&in_query, "", "{}").status, 401);
    for headers in [
        format!("X-API-Key: {KEY}\r\n"),
        format!("x-api-key:   {KEY}  \r\n"),
        format!("Authorization: apikey {KEY}\r\n"),
        format!("authorization: APIKEY {KEY}\r\n"),
    ] {
        let answer = http.post("/api/info", &headers, "{}");
        assert_eq!(answer.status, 200, "{headers}: {}", answer.body);
    }
    let page = http.get("/metrics").body;
    for text in [server.output(), page, told.concat()] {
        assert!(!text.contains(KEY), "{text}");
    }
}

#[test]
fn without_a_key_nobody_gets_in() {
    // No state directory to make one in, either.
    let server = Launch::new().admin("127.0.0.1:0");
    let server = server
        .env("HOME", "")
        .env("XDG_STATE_HOME", "")
        .env("STATE_DIRECTORY", "");
    let server = server.start();
    let answer = admin(&server).post("/api/info", "X-API-Key: \r\n", "{}");
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("--admin-key-file"), "{}", answer.body);
    assert!(
        server.output().contains("no API key"),
        "{}",
        server.output()
    );
}

#[test]
fn a_connection_serves_request_after_request() {
    let server = launch().start();
    let key = format!("X-API-Key: {KEY}\r\n");
    let mut http = admin(&server);
    // Three in one write; the answers come in order.
    let post = format!(
        "POST /api/presence HTTP/1.1\r\nHost: x\r\n{key}Content-Length: 15\r\n\r\n{{\"channel\":\"c\"}}"
    );
    http.send(&format!("{post}HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"));
    let first = http.read();
    assert_eq!(first.status, 200);
    assert!(
        first.body.contains("\"code\":108"),
        "echo has no channels: {}",
        first.body
    );
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        std::io::BufRead::read_line(&mut http.stream, &mut head).unwrap();
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let index = http.get("/");
    assert!(index.body.contains("/healthz/ready"), "{}", index.body);
    let long = format!("Content-Length: {}\r\n", index.body.len());
    assert!(head.contains(&long), "HEAD is GET without its body: {head}");

    // A body that waits to be asked for.
    http.send(&format!(
        "POST /api/presence HTTP/1.1\r\nHost: x\r\n{key}Content-Length: 15\r\nExpect: 100-continue\r\n\r\n"
    ));
    assert_eq!(http.read().status, 100);
    http.send("{\"channel\":\"c\"}");
    assert_eq!(http.read().status, 200);

    http.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(http.read().head.contains("Connection: close\r\n"));
    assert!(http.is_over());
}

#[test]
fn what_is_out_of_bounds_is_said_and_ends_the_connection() {
    let server = launch().start();
    let key = format!("X-API-Key: {KEY}\r\n");
    let head = |line: &str, headers: &str| format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let long = format!("X-Filler: {}\r\n", "x".repeat(20_000));
    let table = [
        (
            head(
                "POST /api/publish",
                &format!("{key}Content-Length: 8388609\r\n"),
            ),
            413,
        ),
        (
            head("POST /api/publish", &format!("{key}Content-Length: -1\r\n")),
            400,
        ),
        (
            head(
                "POST /api/publish",
                &format!("{key}Transfer-Encoding: chunked\r\n"),
            ),
            400,
        ),
        (head("GET /", &long), 431),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\nHost: x\n\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), 400),
    ];
    for (request, status) in table {
        let mut http = admin(&server);
        http.send(&request);
        let answer = http.read();
        assert_eq!(answer.status, status, "{request}");
        assert!(
            answer.head.contains("Connection: close\r\n"),
            "{}",
            answer.head
        );
        assert!(http.is_over(), "{request}");
    }
    for (path, status) in [
        ("/nowhere", 404),
        ("/api/", 404),
        ("/api/nothing", 404),
        ("//", 404),
    ] {
        assert_eq!(admin(&server).get(path).status, status, "{path}");
    }
    let mut http = admin(&server);
    assert_eq!(http.get("/api/info").status, 405);
    assert_eq!(http.post("/metrics", "", "").status, 405);
    let malformed = http.post("/api/publish", &key, "{\"channel\":");
    assert_eq!(malformed.status, 400);
    assert!(
        malformed.body.contains("\"code\":107"),
        "{}",
        malformed.body
    );
}

/// More of each kind than there are places, all at once, and none of them ever leaves by itself.
#[test]
fn clients_that_hang_keep_nobody_out() {
    let server = launch().start();
    let key = format!("X-API-Key: {KEY}\r\n");
    let ways = [
        String::new(),
        "G".to_owned(),
        "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ".to_owned(),
        format!("POST /api/publish HTTP/1.1\r\nHost: x\r\n{key}Content-Length: 1000\r\n\r\nhalf"),
        // Asks for more than the sockets hold, and reads none of it.
        "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000),
    ];
    let mut hanging = Vec::new();
    for way in &ways {
        for _ in 0..70 {
            let mut http = admin(&server);
            let _ = std::io::Write::write(http.stream.get_mut(), way.as_bytes());
            hanging.push(http);
        }
        assert_eq!(admin(&server).get("/healthz/live").status, 200, "{way:.20}");
        assert_eq!(admin(&server).get("/metrics").status, 200, "{way:.20}");
    }
    let figures = figures(&admin(&server).get("/metrics").body);
    assert!(figures["throng_admin_connections"] <= 64.0, "{figures:?}");
    assert!(
        figures["throng_admin_connections_evicted_total"] > 280.0,
        "{figures:?}"
    );
    // The workers have not heard of any of it.
    Wire::open(server.addr()).echo(op::TEXT, b"still here");
}

#[test]
fn it_listens_on_a_unix_socket_too() {
    let path = std::env::temp_dir().join(format!("throng-admin-{}.sock", std::process::id()));
    let server = launch().admin(&format!("unix:{}", path.display())).start();
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let request = b"GET /healthz/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    drop(server);
    let _ = std::fs::remove_file(path);
}

#[test]
fn an_address_that_was_asked_for_is_an_order() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (status, output) = Launch::new().admin(&address.to_string()).run_to_end();
    assert_eq!(status.code(), Some(1), "{output}");
    let cause = format!("cannot listen on {address} (--admin; or --admin off)");
    assert!(output.contains(&cause), "{output}");
}

#[test]
fn the_default_address_is_a_wish() {
    // Somebody has it already, or has it now.
    let _taken = TcpListener::bind("127.0.0.1:9001");
    let server = Launch::new().flag("admin", "127.0.0.1:9001").start();
    Wire::open(server.addr()).echo(op::TEXT, b"it serves all the same");
    assert!(
        server
            .output()
            .contains("no admin port: 127.0.0.1:9001 is taken")
    );
}
