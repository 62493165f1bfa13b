//! A transcript of the official client: what it says is read, and what it was told is written.

use super::*;

const TRANSCRIPT: &str = include_str!("../../../../tests/dialect/centrifuge.txt");

/// The lines that begin with a mark, without it.
fn lines(mark: &str) -> Vec<&'static str> {
    let lines = TRANSCRIPT.lines();
    lines.filter_map(|line| line.strip_prefix(mark)).collect()
}

/// The client's frames.
fn frames() -> Vec<String> {
    let mut frames: Vec<String> = Vec::new();
    for line in TRANSCRIPT.lines() {
        if let Some(line) = line.strip_prefix(">+ ") {
            let frame = frames.last_mut().expect("it goes on with something");
            *frame = format!("{frame}\n{line}");
        } else if let Some(line) = line.strip_prefix("> ") {
            frames.push(line.to_owned());
        }
    }
    frames
}

fn kind(request: &Request<'_>) -> &'static str {
    match request {
        Request::Pong => "pong",
        Request::Connect(_) => "connect",
        Request::Subscribe(_) => "subscribe",
        Request::Unsubscribe { .. } => "unsubscribe",
        Request::Publish(_) => "publish",
        Request::Presence { .. } => "presence",
        Request::PresenceStats { .. } => "presence_stats",
        Request::History { .. } => "history",
        Request::Ping => "ping",
        Request::Send { .. } => "send",
        Request::Rpc { .. } => "rpc",
        Request::Refresh { .. } => "refresh",
        Request::SubRefresh(_) => "sub_refresh",
        Request::Unknown => "unknown",
    }
}

#[test]
fn the_official_client_is_understood() {
    let frames = frames();
    let commands = frames
        .iter()
        .flat_map(|frame| Commands::new(frame, COMMANDS_MAX));
    let commands: Vec<_> = commands
        .map(|command| command.expect("it is one"))
        .collect();
    let said: Vec<_> = commands
        .iter()
        .map(|command| format!("{} {}", command.id, kind(&command.request)))
        .collect();
    let expected = "1 connect, 2 subscribe, 0 pong, 3 publish, 4 history, 5 presence, 6 presence_stats, \
        7 rpc, 0 send, 8 publish, 9 presence_stats, 10 connect, 11 subscribe, 12 subscribe, \
        13 sub_refresh, 14 unsubscribe, 15 connect, 16 connect, 17 refresh, 18 connect";
    assert_eq!(said.join(", "), expected);
    assert_eq!(
        frames.len(),
        18,
        "a client that comes back says all in one frame"
    );

    let subscribes: Vec<_> = commands
        .iter()
        .filter_map(|command| match &command.request {
            Request::Subscribe(subscribe) => Some(subscribe),
            _ => None,
        })
        .collect();
    let recovers = subscribes.iter().map(|subscribe| subscribe.recover);
    assert_eq!(
        recovers.collect::<Vec<_>>(),
        [None, Some(at(5, 10)), Some(at(6, 10))]
    );
    let Some(Request::Connect(last)) = commands.last().map(|command| &command.request) else {
        panic!("the last word is a connect");
    };
    assert_eq!(last.subs, [("#bob".into(), Some(at(7, 10)))]);
}

enum Line<'a> {
    Ping,
    Reply(u32, Reply<'a>),
    Push(&'a str, Push<'a>),
}

fn written(line: &Line<'_>) -> String {
    let mut out = Vec::new();
    match line {
        Line::Ping => out.extend_from_slice(PING.as_bytes()),
        Line::Reply(id, reply) => append_reply(&mut out, *id, reply),
        Line::Push(channel, push) => append_push(&mut out, channel, push),
    }
    String::from_utf8(out).expect("it is JSON")
}

fn message(offset: u64, publisher: Option<Arc<ClientInfo>>) -> Arc<Publication> {
    let is_said = publisher.is_some();
    Arc::new(Publication {
        offset,
        unix_ms: 7,
        payload: Payload {
            kind: PayloadKind::Json,
            bytes: br#"{"text":"hi"}"#[..].into(),
        },
        publisher,
        key: None,
        tags: match is_said {
            true => Box::new([("a".into(), "b".into())]),
            false => Box::default(),
        },
    })
}

fn bob() -> Arc<ClientInfo> {
    Arc::new(ClientInfo {
        conn_info: Some(r#"{"n":1}"#.into()),
        ..(*client("bob")).clone()
    })
}

/// The parts of the transcript in which the client looks around.
#[test]
fn the_official_client_was_answered_by_this_encoder() {
    let written: Vec<_> = first_visit().into_iter().chain(returns()).collect();
    assert_eq!(written, lines("< "));
}

fn first_visit() -> Vec<String> {
    let (bob, said) = (bob(), message(5, Some(bob())));
    let connected = Connected {
        client: ClientId(0xab),
        version: "1",
        ttl_s: None,
        ping_s: 25,
        payload: Some("[1]"),
        subs: &[],
    };
    let subscribed = Subscribed {
        position: Some(at(4, 10)),
        recoverable: true,
        ..Subscribed::default()
    };
    let page = HistoryPage {
        publications: vec![said.clone()],
        position: at(5, 10),
    };
    let presence = Presence {
        clients: vec![bob.clone()],
    };
    let stats = Reply::PresenceStats(PresenceStats {
        clients: 3,
        users: 2,
    });
    let subscribe = Reply::Subscribe {
        subscribed: &subscribed,
        ttl_s: None,
    };
    let text = Payload {
        kind: PayloadKind::Text,
        bytes: b"text"[..].into(),
    };
    [
        Line::Reply(1, Reply::Connect(&connected)),
        Line::Reply(2, subscribe),
        Line::Push("chat:room", Push::Join(&bob)),
        Line::Push("chat:room", Push::Publication(&said)),
        Line::Ping,
        Line::Reply(3, Reply::Publish),
        Line::Reply(4, Reply::History(&page)),
        Line::Reply(5, Reply::Presence(&presence)),
        Line::Reply(6, stats),
        Line::Reply(7, Reply::Error(ErrorCode::NotAvailable)),
        Line::Push("", Push::Message(&text)),
        Line::Reply(8, Reply::Error(ErrorCode::TooManyRequests)),
        Line::Reply(9, stats),
    ]
    .iter()
    .map(written)
    .collect()
}

fn returns() -> Vec<String> {
    let bob = bob();
    let plain = Connected {
        client: ClientId(0xab),
        version: "1",
        ttl_s: None,
        ping_s: 25,
        payload: None,
        subs: &[],
    };
    let silent = Connected {
        ping_s: 0,
        ..plain.clone()
    };
    let recovered = Subscribed {
        position: Some(at(6, 10)),
        recoverable: true,
        was_recovering: true,
        recovered: true,
        publications: vec![message(6, None)],
    };
    let lost = Subscribed {
        position: Some(at(0, 11)),
        recovered: false,
        publications: Vec::new(),
        ..recovered.clone()
    };
    let personal = Subscribed {
        position: Some(at(7, 10)),
        recoverable: true,
        ..Subscribed::default()
    };
    let subs = [("#bob", personal)];
    let expiring = Connected {
        version: "",
        ttl_s: Some(1),
        ping_s: 0,
        subs: &subs,
        ..plain.clone()
    };
    let subscribe = |subscribed, ttl_s| Reply::Subscribe { subscribed, ttl_s };
    let refresh = Reply::Refresh {
        client: ClientId(0xab),
        version: "1",
        ttl_s: Some(600),
    };
    [
        Line::Reply(10, Reply::Connect(&plain)),
        Line::Reply(11, subscribe(&recovered, None)),
        Line::Push(
            "chat:room",
            Push::Unsubscribe(Unsubscribed::InsufficientState),
        ),
        Line::Reply(12, subscribe(&lost, Some(1))),
        Line::Reply(13, Reply::SubRefresh { ttl_s: Some(600) }),
        Line::Push("chat:room", Push::Leave(&bob)),
        Line::Reply(14, Reply::Unsubscribe),
        Line::Reply(15, Reply::Error(ErrorCode::TokenExpired)),
        Line::Reply(16, Reply::Connect(&expiring)),
        Line::Reply(17, refresh),
        Line::Reply(18, Reply::Connect(&silent)),
    ]
    .iter()
    .map(written)
    .collect()
}
