use std::sync::Mutex;

use serde_json::{Value, json};

use super::super::Vitals;
use super::super::backend::{Subscribe, Totals, Whom};
use super::*;
use crate::hub::{ClientId, Epoch, Payload, PayloadKind, Refusal};

/// Notes what it is asked, and replies what it was told to.
#[derive(Debug)]
struct Scripted {
    asked: Mutex<Vec<Request>>,
    reply: Result<Reply, Failure>,
}

impl Backend for Scripted {
    fn call(&self, request: Request) -> Result<Reply, Failure> {
        self.asked.lock().unwrap().push(request);
        self.reply.clone()
    }
}

#[derive(Debug)]
struct Somewhere;

impl Host for Somewhere {
    fn readiness(&self) -> Result<(), String> {
        Ok(())
    }
    fn liveness(&self) -> Result<(), String> {
        Ok(())
    }
    fn vitals(&self) -> Vitals {
        Vitals {
            uptime_ms: 61_000,
            rss_bytes: Some(4096),
        }
    }
    fn expose(&self, _: &mut Exposition) {}
    fn stats(&self) -> String {
        String::new()
    }
}

fn api(reply: Result<Reply, Failure>) -> (Api, Arc<Scripted>) {
    let backend = Arc::new(Scripted {
        asked: Mutex::default(),
        reply,
    });
    let api = Api::new(backend.clone(), Arc::new(Somewhere), "uid".to_owned());
    (api, backend)
}

/// What `body` makes of a server whose backend replies this, and what that was asked.
fn told(method: &str, body: &Value, reply: Result<Reply, Failure>) -> (Value, Vec<Request>) {
    let (api, backend) = api(reply);
    let method = Method::of(method).expect("it is one");
    let answer = api.answer(method, body.to_string().as_bytes(), false);
    assert_eq!(answer.status, 200);
    let asked = std::mem::take(&mut *backend.asked.lock().unwrap());
    (serde_json::from_slice(&answer.body).unwrap(), asked)
}

fn error_code(method: &str, body: &Value) -> u64 {
    let (told, asked) = told(method, body, Ok(Reply::Done));
    assert_eq!(
        asked,
        [],
        "{method} {body} is refused before anybody is asked"
    );
    told["error"]["code"]
        .as_u64()
        .unwrap_or_else(|| panic!("{method} {body}: {told}"))
}

const AT: Position = Position {
    offset: 7,
    epoch: Epoch::new(0xab),
};

#[test]
fn methods_are_in_their_places() {
    for (index, (method, name)) in Method::ALL.into_iter().enumerate() {
        assert_eq!(method as usize, index);
        assert_eq!((method.name(), Method::of(name)), (name, Some(method)));
    }
    assert_eq!(Method::of("map_publish"), None);
}

#[test]
fn a_publication_arrives_as_it_was_written() {
    let body = json!({
        "channel": "chat:room", "data": {"b": [1, 2.50, "é"]}, "skip_history": true,
        "tags": {"lang": "de"}, "key": "k", "delta": true, "no_such_member": [{}],
    });
    let (told, asked) = told("publish", &body, Ok(Reply::Published(Some(AT))));
    assert_eq!(told, json!({"result": {"offset": 7, "epoch": "000000ab"}}));
    let expected = Publish {
        channel: "chat:room".into(),
        payload: Payload {
            kind: PayloadKind::Json,
            bytes: body["data"].to_string().into_bytes().into(),
        },
        skip_history: true,
        tags: [("lang".into(), "de".into())].into(),
        key: Some("k".into()),
    };
    assert_eq!(asked, [Request::Publish(expected)]);
}

#[test]
fn base64_is_whatever_it_turns_out_to_be() {
    let table = [
        ("eyJhIjoxfQ==", PayloadKind::Json, &b"{\"a\":1}"[..]),
        ("aGVsbG8gdGhlcmU=", PayloadKind::Text, b"hello there"),
        ("/wA=", PayloadKind::Binary, b"\xff\0"),
    ];
    for (b64data, kind, bytes) in table {
        let body = json!({"channel": "c", "b64data": b64data});
        let (told, asked) = told("publish", &body, Ok(Reply::Published(None)));
        assert_eq!(told, json!({"result": {}}), "a channel without history");
        let [Request::Publish(publish)] = &asked[..] else {
            panic!("{asked:?}");
        };
        assert_eq!(
            (publish.payload.kind, &*publish.payload.bytes),
            (kind, bytes)
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_number() {
    let nobody = json!({"channel": "c"});
    let table = [
        ("publish", json!({"data": 1}), 107),
        ("publish", json!({"channel": "", "data": 1}), 107),
        ("publish", json!({"channel": "a\nb", "data": 1}), 107),
        ("publish", json!({"channel": "c"}), 107),
        ("publish", json!({"channel": "c", "data": null}), 107),
        ("publish", json!({"channel": "c", "b64data": "*"}), 107),
        ("publish", json!({"channel": 7, "data": 1}), 107),
        (
            "publish",
            json!({"channel": "c", "data": 1, "version": 3}),
            108,
        ),
        (
            "publish",
            json!({"channel": "c", "data": 1, "idempotency_key": "x".repeat(257)}),
            107,
        ),
        ("publish", json!([]), 107),
        ("broadcast", json!({"channels": [], "data": 1}), 107),
        ("subscribe", nobody.clone(), 107),
        (
            "subscribe",
            json!({"channel": "c", "user": "u", "override": {}}),
            108,
        ),
        (
            "subscribe",
            json!({"channel": "c", "user": "u", "session": "s"}),
            108,
        ),
        ("subscribe", json!({"user": "u"}), 107),
        (
            "subscribe",
            json!({"channel": "c", "user": "u", "b64info": "*"}),
            107,
        ),
        // Base64 of "hello there", which is no JSON: clients could not read it.
        (
            "subscribe",
            json!({"channel": "c", "user": "u", "b64data": "aGVsbG8gdGhlcmU="}),
            107,
        ),
        ("unsubscribe", nobody.clone(), 107),
        ("disconnect", json!({}), 107),
        (
            "disconnect",
            json!({"user": "u", "disconnect": {"code": 1000}}),
            107,
        ),
        (
            "disconnect",
            json!({"user": "u", "disconnect": {"code": 4000, "reason": "x".repeat(124)}}),
            107,
        ),
        ("refresh", json!({"user": "u", "info": {}}), 108),
        ("presence", json!({}), 107),
        ("presence_stats", json!({}), 107),
        ("history", json!({}), 107),
        (
            "history",
            json!({"channel": "c", "since": {"offset": 1, "epoch": "x"}}),
            112,
        ),
        ("history_remove", json!({}), 107),
        ("channels", json!({"pattern": "[a]"}), 107),
        ("connections", json!({"expression": "true"}), 108),
        ("batch", json!({}), 107),
    ];
    for (method, body, code) in table {
        assert_eq!(error_code(method, &body), code, "{method} {body}");
    }
}

#[test]
fn people_are_named_with_care() {
    let client = ClientId(0xfeed);
    let whom = |user: &str, client| Whom {
        user: user.into(),
        client,
    };
    let body = json!({
        "channel": "c", "user": "bob", "client": client.to_string(), "info": {"a": 1}, "data": "hi",
        "expire_at": 12, "recover_since": {"offset": 7, "epoch": "000000ab"},
    });
    let (_, asked) = told("subscribe", &body, Ok(Reply::Done));
    let mut expected = Subscribe {
        whom: whom("bob", Some(client)),
        channel: "c".into(),
        chan_info: Some("{\"a\":1}".into()),
        greeting: Some("\"hi\"".into()),
        expire_at_s: Some(12),
        recover_since: Some(AT),
    };
    assert_eq!(asked, [Request::Subscribe(expected.clone())]);

    // Base64 wins, as in publications: {"a":1} and 7.
    let mut body = body;
    body["b64data"] = json!("eyJhIjoxfQ==");
    body["b64info"] = json!("Nw==");
    let (_, asked) = told("subscribe", &body, Ok(Reply::Done));
    expected.greeting = Some("{\"a\":1}".into());
    expected.chan_info = Some("7".into());
    assert_eq!(asked, [Request::Subscribe(expected)]);

    let body = json!({"user": "", "whitelist": ["nobody of ours"], "disconnect": {"code": 0}});
    let (told_, asked) = told("disconnect", &body, Ok(Reply::Done));
    assert_eq!(told_, json!({"result": {}}));
    let expected = Request::Disconnect {
        whom: whom("", None),
        except: vec![ClientId(0)],
        farewell: None,
    };
    assert_eq!(asked, [expected]);

    let body = json!({"user": "bob", "channel": ""});
    let expected = Request::Unsubscribe {
        whom: whom("bob", None),
        channel: None,
    };
    assert_eq!(told("unsubscribe", &body, Ok(Reply::Done)).1, [expected]);

    let body = json!({"user": "bob", "expire_at": 99});
    let expected = Request::Refresh {
        whom: whom("bob", None),
        expired: false,
        expire_at_s: Some(99),
    };
    assert_eq!(told("refresh", &body, Ok(Reply::Done)).1, [expected]);
}

#[test]
fn history_is_asked_for_in_pages() {
    let page = HistoryPage {
        publications: Vec::new(),
        position: AT,
    };
    let queries = |body: Value| {
        let (_, asked) = told("history", &body, Ok(Reply::History(page.clone())));
        let query = |request| match request {
            Request::History { query, .. } => query,
            other => panic!("{other:?}"),
        };
        asked.into_iter().map(query).collect::<Vec<_>>()
    };
    let query = |limit, since, reverse| HistoryQuery {
        limit: Some(limit),
        since,
        reverse,
    };
    assert_eq!(queries(json!({"channel": "c"})), [query(0, None, false)]);
    let all = queries(json!({"channel": "c", "limit": -1, "reverse": true}));
    assert_eq!(all, [query(10_000, None, true)]);
    let since = json!({"channel": "c", "limit": 5, "since": {"offset": 7, "epoch": "000000ab"}});
    assert_eq!(queries(since), [query(5, Some(AT), false)]);
    let anytime = queries(json!({"channel": "c", "limit": 5, "since": {"offset": 3}}));
    let behind = Position { offset: 3, ..AT };
    assert_eq!(
        anytime,
        [query(0, None, false), query(5, Some(behind), false)]
    );
}

#[test]
fn a_broadcast_has_a_result_for_each_channel() {
    let body = json!({"channels": ["a", "b c", "d"], "data": 1});
    let (told, asked) = told("broadcast", &body, Ok(Reply::Published(Some(AT))));
    let done = json!({"result": {"offset": 7, "epoch": "000000ab"}});
    let responses = told["result"]["responses"].as_array().unwrap();
    assert_eq!((&responses[0], &responses[2]), (&done, &done));
    assert_eq!(responses[1]["error"]["code"], 107);
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_batch_goes_on_behind_a_mistake() {
    let body = json!({"commands": [
        {"publish": {"channel": "c", "data": 1}},
        {"no_such_method": {}},
        {"publish": {"channel": "c"}},
        {"batch": {"commands": []}},
        {},
        {"publish": {"channel": "d", "data": 2}},
    ], "parallel": true});
    let (told, asked) = told("batch", &body, Ok(Reply::Published(Some(AT))));
    let done = json!({"publish": {"offset": 7, "epoch": "000000ab"}});
    let replies = told["replies"].as_array().unwrap();
    assert_eq!((&replies[0], &replies[5]), (&done, &done));
    let codes: Vec<_> = replies[1..5]
        .iter()
        .map(|reply| &reply["error"]["code"])
        .collect();
    assert_eq!(codes, [104, 107, 104, 107]);
    assert_eq!(asked.len(), 2);
}

#[test]
fn the_same_key_publishes_once() {
    let (api, backend) = api(Ok(Reply::Published(Some(AT))));
    let publish = |channel: &str, key: &str| {
        let body = json!({"channel": channel, "data": 1, "idempotency_key": key});
        let answer = api.answer(Method::Publish, body.to_string().as_bytes(), false);
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    let done = json!({"result": {"offset": 7, "epoch": "000000ab"}});
    for (channel, key, calls) in [("c", "k", 1), ("c", "k", 1), ("d", "k", 2), ("d", "", 3)] {
        assert_eq!(publish(channel, key), done);
        assert_eq!(
            backend.asked.lock().unwrap().len(),
            calls,
            "{channel} {key}"
        );
    }
}

#[test]
fn refusals_have_the_numbers_that_sdks_know() {
    let table = [
        (Failure::Refused(Refusal::UnknownChannel), 102, 404),
        (Failure::Refused(Refusal::PermissionDenied), 103, 403),
        (Failure::Refused(Refusal::LimitExceeded), 106, 400),
        (Failure::Refused(Refusal::NotAvailable), 108, 400),
        (Failure::Refused(Refusal::TooMany), 111, 429),
        (Failure::Refused(Refusal::Busy), 111, 429),
        (Failure::Refused(Refusal::BadPosition), 112, 416),
        (Failure::Unavailable("this; do that"), 108, 400),
        (Failure::Late, 100, 500),
    ];
    for (failure, code, status) in table {
        let body = json!({"channel": "c"});
        let (told, _) = told("presence", &body, Err(failure));
        assert_eq!(told["error"]["code"], code, "{failure:?}");
        let (api, _) = api(Err(failure));
        let answer = api.answer(Method::Presence, body.to_string().as_bytes(), true);
        assert_eq!(answer.status, status, "{failure:?}");
    }
}

#[test]
fn what_is_no_json_is_the_requests_fault() {
    let (api, _) = api(Ok(Reply::Done));
    let deep = "[".repeat(100_000);
    for body in ["{", "{} {}", "\u{0}", "nonsense", &deep] {
        let answer = api.answer(Method::Presence, body.as_bytes(), false);
        assert_eq!(answer.status, 400, "{}", &body[..body.len().min(9)]);
    }
    let answer = api.answer(Method::Presence, b"\xff", false);
    assert_eq!(answer.status, 400);
}

#[test]
fn an_empty_body_asks_for_nothing_special() {
    let (api, _) = api(Ok(Reply::Totals(Totals {
        clients: 3,
        users: 2,
        channels: 1,
        subscriptions: 5,
    })));
    let answer = api.answer(Method::Info, b" \n", false);
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    let node = &told["result"]["nodes"][0];
    let expected = json!({
        "uid": "uid", "name": "throng", "version": env!("CARGO_PKG_VERSION"), "num_clients": 3,
        "num_users": 2, "num_channels": 1, "num_subs": 5, "uptime": 61, "process": {"rss": 4096},
    });
    assert_eq!(node, &expected);
}
