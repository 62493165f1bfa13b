//! Precedence, knobs that follow others, and the rules between knobs.

use super::*;
use crate::config::knob::Kind;
use crate::config::{App, file};
use crate::limits::Limits;

fn flag(name: &str, text: &str) -> Setting {
    Setting {
        knob: knobs::find(name).expect(name),
        text: text.to_owned(),
        place: Place::CommandLine,
    }
}

/// Resolves a file and flags written as `name value`.
fn resolved(file: &str, flags: &[&str]) -> Result<Resolved, Vec<Problem>> {
    let contents = file::parse("t.toml", file);
    let flags = flags.iter().map(|pair| {
        let (name, text) = pair.split_once(' ').expect("name value");
        flag(name, text)
    });
    resolve(contents, flags.collect(), Vec::new())
}

fn errors(file: &str, flags: &[&str]) -> Vec<String> {
    let problems = resolved(file, flags).expect_err("it is refused");
    problems.into_iter().map(|problem| problem.cause).collect()
}

fn warnings(file: &str, flags: &[&str]) -> Vec<String> {
    let warnings = resolved(file, flags).expect("it is accepted").warnings;
    warnings.into_iter().map(|problem| problem.cause).collect()
}

#[test]
fn nothing_written_is_the_default() {
    let resolved = resolved("", &[]).expect("the defaults agree");
    assert_eq!(resolved.config, Config::default());
    assert_eq!(resolved.config.limits, Limits::default());
    assert_eq!(resolved.config.app, App::Hub);
    assert!(resolved.warnings.is_empty());
    assert_eq!(resolved.origin("workers"), &Place::Default);
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let file = "workers = 2\nbacklog = 100";
    let resolved = resolved(file, &["workers 3"]).expect("valid");
    assert_eq!(resolved.config.workers, Count::Exactly(3));
    assert_eq!(resolved.config.backlog, 100);
    assert_eq!(resolved.origin("workers"), &Place::CommandLine);
    assert!(matches!(
        resolved.origin("backlog"),
        Place::Spot { line: 2, .. }
    ));
    assert_eq!(resolved.origin("deflate"), &Place::Default);
}

#[test]
fn the_last_of_two_flags_counts() {
    let resolved = resolved("", &["workers 3", "workers 4"]).expect("valid");
    assert_eq!(resolved.config.workers, Count::Exactly(4));
}

#[test]
fn addresses_add_up_within_a_source_and_replace_the_one_before() {
    let shown = |resolved: Resolved| -> Vec<_> {
        let listen = resolved.config.listen;
        listen.iter().map(Endpoint::to_string).collect()
    };
    let file = "listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]";
    assert_eq!(
        shown(resolved(file, &[]).expect("valid")),
        ["127.0.0.1:1", "127.0.0.1:2"]
    );
    let flags = ["listen :3", "listen unix:/run/s"];
    assert_eq!(
        shown(resolved(file, &flags).expect("valid")),
        ["0.0.0.0:3", "unix:/run/s"]
    );
    assert_eq!(
        errors("", &["listen :3", "listen 0.0.0.0:3"]),
        ["--listen \"0.0.0.0:3\" is listed twice"]
    );
}

#[test]
fn too_many_addresses_are_refused() {
    let flags: Vec<_> = (1..=65).map(|port| format!("listen :{port}")).collect();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    assert!(resolved("", &flags[..64]).is_ok());
    assert_eq!(errors("", &flags).len(), 1);
}

#[test]
fn unset_queue_limits_follow() {
    let limits = |flags: &[&str]| resolved("", flags).expect("valid").config.limits;
    assert_eq!(limits(&["max-message 16MiB"]).queue_bytes_max, 32 << 20);
    assert_eq!(limits(&["max-message 1GiB"]).queue_bytes_max, 2 << 30);
    assert_eq!(limits(&["max-message 1KiB"]).queue_bytes_max, 4 << 20);
    assert_eq!(limits(&["queue-high 2MiB"]).queue_bytes_max, 8 << 20);
    assert_eq!(limits(&["queue-high 1GiB"]).queue_bytes_max, 2 << 30);
    assert_eq!(
        limits(&["queue-max 64KiB", "max-message 1KiB"]).queue_bytes_high,
        32 << 10
    );
    // What was written is never changed.
    let both = limits(&["queue-max 3MiB", "queue-high 2MiB"]);
    assert_eq!(
        (both.queue_bytes_high, both.queue_bytes_max),
        (2 << 20, 3 << 20)
    );
}

#[test]
fn no_single_valid_flag_is_refused_for_another_ones_default() {
    for knob in KNOBS {
        let edges = match &knob.kind {
            Kind::Bytes(n) => vec![show_bytes(n.min), show_bytes(n.max)],
            Kind::Count(n) => vec![n.min.to_string(), n.max.to_string()],
            Kind::CountOrAuto(t) => vec![t.min.to_string(), t.max.to_string()],
            _ => continue,
        };
        for edge in edges {
            // A queue of one byte holds no half: the one pair without a middle.
            if knob.name == "queue-max" && edge == "1B" {
                continue;
            }
            let outcome = resolve(
                Contents::default(),
                vec![flag(knob.name, &edge)],
                Vec::new(),
            );
            assert!(outcome.is_ok(), "{} {edge}: {outcome:?}", knob.name);
        }
    }
}

#[test]
fn queues_out_of_order_are_refused() {
    assert_eq!(
        errors("queue_max = \"64KiB\"", &["queue-high 64KiB"]),
        ["--queue-high 64KiB is not below queue_max = 64KiB"]
    );
}

#[test]
fn a_queue_smaller_than_a_message_is_a_warning() {
    let problem = &resolved("", &["queue-max 512KiB"]).expect("valid").warnings[0];
    assert_eq!(
        problem.cause,
        "--queue-max 512KiB is below max-message (1MiB by default): a peer that is sent one whole \
         message is cut off"
    );
    assert_eq!(problem.cure, "leave queue-max out, or make it 1MiB or more");
}

#[test]
fn fewer_connections_than_workers_are_refused() {
    assert_eq!(
        errors("", &["workers 4", "max-connections 3"]),
        ["--max-connections 3 is below --workers 4: some workers could serve nobody"]
    );
    assert!(resolved("", &["max-connections 1"]).is_ok());
}

#[test]
fn settings_without_effect_are_mentioned() {
    assert_eq!(
        warnings("", &["ping-interval 0", "pong-timeout 5s"]),
        ["--pong-timeout 5s has no effect without pings"]
    );
    assert!(warnings("", &["ping-interval 0"]).is_empty());
    assert_eq!(
        warnings(
            "deflate = \"off\"\ndeflate_level = 6",
            &["deflate-window 12"]
        ),
        [
            "--deflate-window 12 has no effect while deflate is off",
            "deflate_level = 6 has no effect while deflate is off",
        ]
    );
    assert_eq!(
        warnings("", &["listen unix:s.sock"]),
        ["unix:s.sock is relative to the directory throng is started in"]
    );
}

#[test]
fn all_mistakes_come_at_once() {
    let found = errors("workers = 0\nport = 1", &["max-head 1", "deflate no"]);
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn what_tls_asks_for_goes_together() {
    let shared = errors("[tls]\nlisten = \"127.0.0.1:9000\"", &[]);
    assert_eq!(
        shared,
        ["127.0.0.1:9000 is in listen, too: one port speaks TLS or does not"]
    );
    let chosen = ["listen 127.0.0.1:0", "tls-listen 127.0.0.1:0"];
    assert_eq!(
        warnings("", &chosen),
        [""; 0],
        "the kernel chooses two ports"
    );
    let idle = warnings(
        "[tls]\nclient_ca = \"/a.pem\"",
        &["tls-tickets off", "tls-ticket-keys /b"],
    );
    assert_eq!(
        idle,
        [
            "--tls-ticket-keys /b has no effect: --tls-tickets off",
            "client_ca = /a.pem has no effect: tls-client-certs (off by default)",
        ]
    );
    let relative = warnings("", &["tls-listen unix:tls.sock"]);
    assert!(
        relative[0].contains("unix:tls.sock is relative"),
        "{relative:?}"
    );
    let some = resolved("proxy_from = [\"10.0.0.0/8\", \"unix\"]", &[]).expect("valid");
    assert_eq!(some.config.proxy_from.len(), 2);
    let none = resolved("proxy_from = \"10.0.0.0/8\"", &["proxy-from off"]).expect("valid");
    assert_eq!(none.config.proxy_from, []);
    assert_eq!(
        errors("", &["proxy-from 10.0.0.1/8"]),
        ["--proxy-from \"10.0.0.1/8\" is an address within that network, and not the network's"]
    );
}

#[test]
fn tiers_of_slow_subscribers_keep_their_order() {
    let slow = |flags: &[&str]| {
        let slow = resolved("", flags).expect("valid").config.slow;
        (slow.soft_bytes, slow.hard_bytes)
    };
    assert_eq!(slow(&["slow-soft 8MiB"]), (8 << 20, 8 << 20));
    assert_eq!(slow(&["slow-hard 1KiB"]), (1 << 10, 1 << 10));
    assert_eq!(
        slow(&["queue-max 128KiB", "max-message 1KiB"]),
        (64 << 10, 64 << 10)
    );
    assert_eq!(
        errors("[limits]\nslow_soft = \"2MiB\"", &["slow-hard 1MiB"]),
        ["slow_soft = 2MiB is above --slow-hard 1MiB"]
    );
    assert_eq!(
        warnings("", &["slow-hard 4MiB"]),
        [
            "--slow-hard 4MiB is not below queue-max (4MiB by default): slow subscribers are cut off \
             before their namespace is asked"
        ]
    );
}

#[test]
fn settings_of_a_history_that_is_not_on_disk_are_mentioned() {
    assert_eq!(
        warnings("[history]\nsync = \"always\"", &["history-damaged skip"]),
        [
            "--history-damaged skip has no effect without history-dir",
            "sync = always has no effect without history-dir",
        ]
    );
    assert_eq!(
        warnings(
            "",
            &[
                "history-dir /h",
                "history-sync off",
                "history-sync-interval 2s"
            ]
        ),
        [
            "--history-sync-interval 2s has no effect unless history-dir is set and history-sync is \
             interval"
        ]
    );
    assert!(warnings("", &["history-dir ./h", "history-sync always"]).is_empty());
}
