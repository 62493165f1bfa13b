use super::*;

fn said(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

/// Heard things in words, so that nothing borrows.
fn heard(dialect: Dialect, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    dialect
        .hear(text, |heard| all.push(format!("{heard:?}")))
        .unwrap();
    all
}

#[test]
fn entries_and_publications_are_what_servers_expect() {
    let since = Position {
        offset: 41,
        epoch: "xyz",
    };
    let entry = Entry {
        room: "ro\"om",
        token: Some("a.b.c"),
        since: Some(since),
        presence: true,
    };
    let text = said(|out| Dialect::Centrifuge.append_entry(out, &entry));
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["connect"]["token"], "a.b.c");
    assert_eq!(lines[1]["subscribe"]["channel"], "ro\"om");
    assert_eq!(lines[1]["subscribe"]["offset"], 41);
    assert_eq!(lines[1]["subscribe"]["epoch"], "xyz");
    assert_eq!(lines[2]["presence_stats"]["channel"], "ro\"om");
    let bare = Entry {
        room: "r",
        ..Entry::default()
    };
    let text = said(|out| Dialect::Centrifuge.append_entry(out, &bare));
    assert_eq!(
        text,
        "{\"id\":1,\"connect\":{\"name\":\"loadgen\"}}\n{\"id\":2,\"subscribe\":{\"channel\":\"r\"}}"
    );
    let text = said(|out| Dialect::Chat.append_entry(out, &entry));
    assert_eq!(
        text,
        r#"{"type":"join","room":"ro\"om","since":41,"epoch":"xyz"}"#
    );
    for dialect in [Dialect::Centrifuge, Dialect::Chat, Dialect::Raw] {
        let text = said(|out| dialect.append_publish(out, "r", "hello", 7));
        assert!(text.contains("hello"));
        if dialect != Dialect::Raw {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
}

#[test]
fn several_lines_of_a_message_are_heard_in_order() {
    let text = concat!(
        r#"{"id":1,"connect":{"client":"c","version":"5","ping":25,"pong":true}}"#,
        "\n",
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":9,"positioned":true,"publications":[{"data":"one","offset":8},{"data":{"x":1},"offset":9}],"recovered":true,"was_recovering":true}}"#,
        "\n",
        r#"{"push":{"channel":"r","pub":{"data":"two","info":{"user":"u","client":"k"},"offset":10}}}"#,
        "\n",
        r#"{"push":{"channel":"r","join":{"info":{"user":"u","client":"k"}}}}"#,
        "\n{}\n",
        r#"{"id":3,"presence_stats":{"num_clients":2,"num_users":1}}"#,
        "\n",
        r#"{"id":5,"publish":{}}"#,
        "\n",
        r#"{"id":6,"error":{"code":103,"message":"permission denied"}}"#,
    );
    assert_eq!(
        heard(Dialect::Centrifuge, text),
        [
            r#"Joined { position: Some(Position { offset: 9, epoch: "e" }), recovered: true }"#,
            r#"Publication { text: "one", offset: 8 }"#,
            "Foreign",
            r#"Publication { text: "two", offset: 10 }"#,
            r#"Ping("{}")"#,
            "Present(2)",
            "Refused(103)",
        ]
    );
    for (id, expected) in [(1, "Denied(109)"), (2, "Denied(109)"), (3, "Refused(109)")] {
        let text = format!(r#"{{"id":{id},"error":{{"code":109,"message":"token expired"}}}}"#);
        assert_eq!(heard(Dialect::Centrifuge, &text), [expected]);
    }
}

#[test]
fn a_chat_is_understood() {
    for (text, expected) in [
        (
            r#"{"type":"connected","userId":"a","status":"connected"}"#,
            None,
        ),
        (
            r#"{"type":"joined","room":"r","seq":3,"epoch":"e","recovered":false}"#,
            Some(
                r#"Joined { position: Some(Position { offset: 3, epoch: "e" }), recovered: false }"#,
            ),
        ),
        (
            r#"{"type":"message","room":"r","from":"b","text":"hi","id":"7","timestamp":1,"seq":4}"#,
            Some(r#"Publication { text: "hi", offset: 4 }"#),
        ),
        (
            r#"{"type":"ack","messageId":"7","status":"delivered"}"#,
            None,
        ),
        (
            r#"{"type":"error","message":"Permission denied"}"#,
            Some("Refused(0)"),
        ),
    ] {
        assert_eq!(heard(Dialect::Chat, text), expected.as_slice(), "{text}");
    }
}

#[test]
fn what_is_none_of_it_is_said_to_be() {
    for (dialect, text) in [
        (Dialect::Centrifuge, "hello"),
        (Dialect::Centrifuge, "{\"push\":7}"),
        (Dialect::Chat, "{}"),
        (Dialect::Chat, "[1]"),
    ] {
        assert_eq!(dialect.hear(text, |_| {}), Err(Unintelligible), "{text}");
    }
}
