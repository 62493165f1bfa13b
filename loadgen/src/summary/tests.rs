use super::*;

fn balanced() -> Summary {
    let mut summary = Summary::new("echo", "ws://127.0.0.1:9000/echo");
    summary.messages = Messages {
        sent: 100,
        received: 90,
        lost: 7,
        in_flight: 3,
        ..Messages::default()
    };
    summary.connections = Connections {
        requested: 10,
        connected: 9,
        upgraded: 9,
        proven_alive: 8,
        ..Connections::default()
    };
    summary.connections.failed.insert("refused".into(), 1);
    summary.server = Some(Server {
        pid: 7,
        rss_bytes_per_connection: 64.5,
        ..Server::default()
    });
    summary
}

#[test]
fn a_summary_survives_the_disk() {
    let summary = balanced();
    assert_eq!(Summary::parse(&summary.to_json()).unwrap(), summary);
}

/// The keys that other programs read; renaming one is a new version.
#[test]
fn the_shape_is_a_promise() {
    let json: serde_json::Value = serde_json::from_str(&balanced().to_json()).unwrap();
    for path in [
        "/format",
        "/version",
        "/connections/requested",
        "/connections/connected",
        "/connections/upgraded",
        "/connections/proven_alive",
        "/connections/failed/refused",
        "/messages/sent",
        "/messages/received",
        "/messages/lost",
        "/messages/in_flight",
        "/messages/errors",
        "/latency_ms/response/p50",
        "/latency_ms/response/p90",
        "/latency_ms/service/p99",
        "/latency_ms/lateness/p999",
        "/latency_ms/response/max",
        "/rates/sent_per_s",
        "/server/rss_bytes_per_connection",
        "/verdict/outcome",
    ] {
        assert!(json.pointer(path).is_some(), "{path} is missing");
    }
    assert_eq!(json["version"], 1);
    assert_eq!(json["verdict"]["outcome"], "pass");
}

#[test]
fn what_is_not_ours_is_refused() {
    let with = |from: &str, to: &str| Summary::parse(&balanced().to_json().replacen(from, to, 1));
    assert!(matches!(
        with("loadgen-summary", "k6"),
        Err(SummaryError::Format)
    ));
    assert!(matches!(
        with("\"version\": 1", "\"version\": 9"),
        Err(SummaryError::Version(9))
    ));
    assert!(matches!(
        with("\"version\": 1", "\"version\": 0"),
        Err(SummaryError::Version(0))
    ));
    assert!(matches!(Summary::parse("{}"), Err(SummaryError::Shape(_))));
    // A field of a later minor addition is ignored, not refused.
    assert!(with("{", "{\"later\": 1,").is_ok());
}

#[test]
fn books_that_do_not_balance_are_named() {
    let mut summary = balanced();
    assert!(summary.imbalances().is_empty());
    summary.messages.received = 91;
    summary.connections.proven_alive = 10;
    let bad = Messages {
        sent: 1,
        ..Messages::default()
    };
    summary.cohorts.insert(
        "slow".into(),
        Cohort {
            messages: bad,
            ..Cohort::default()
        },
    );
    let found = summary.imbalances();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("messages: sent 100, accounted for 101"));
    assert!(found[1].starts_with("slow: sent 1, accounted for 0"));
}
