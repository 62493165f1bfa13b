//! Files right and wrong, with the exact place of every complaint.

use proptest::prelude::*;

use super::*;
use crate::config::resolve;
use crate::config::tokens::{Algorithm, KeyEntry, Material, Secret};

/// `line:column: cause` of every problem, in order.
fn complaints(text: &str) -> Vec<String> {
    let contents = parse("t.toml", text);
    let problems = match resolve(contents, Vec::new(), Vec::new()) {
        Ok(resolved) => resolved.warnings,
        Err(problems) => problems,
    };
    problems
        .iter()
        .map(|problem| match &problem.place {
            Place::Spot { line, column, path } => {
                assert_eq!(&**path, "t.toml");
                format!("{line}:{column}: {}", problem.cause)
            }
            other => format!("{other:?}: {}", problem.cause),
        })
        .collect()
}

#[test]
fn a_good_file_has_no_complaints() {
    let text = "\
# comments and blank lines are fine

listen = [\"127.0.0.1:9000\", \"unix:/run/throng.sock\"]
workers = 2
max_connections = \"auto\"
max_message = 1_048_576
ping_interval = 20
pin_cores = false
deflate = 'dedicated'
";
    assert_eq!(complaints(text), Vec::<String>::new());
    assert_eq!(parse("t.toml", text).settings.len(), 8, "one per address");
}

#[test]
fn places_are_exact() {
    let table = [
        ("workers = 0", "1:11: workers \"0\" is too small"),
        ("\n\n  workers = 999", "3:13: workers \"999\" is too large"),
        ("wrokers = 2", "1:1: unknown key \"wrokers\""),
        ("workers = 1\nport = 2", "2:1: unknown key \"port\""),
        (
            "max_message = \"1MB\"",
            "1:15: max_message \"1MB\" has a unit that is not known here",
        ),
        (
            "listen = [\":1\",\n  \"x\"]",
            "2:3: listen \"x\" is not an address (host names are not resolved)",
        ),
        (
            "listen = [\":1\", \":1\"]",
            "1:17: listen \":1\" is listed twice",
        ),
        ("listen = []", "1:10: listen is empty"),
        (
            "workers = \"2\"",
            "1:11: workers must be a decimal number or \"auto\", not a string",
        ),
        (
            "workers = 0x10",
            "1:11: workers must be a decimal number or \"auto\", not an integer of this form",
        ),
        (
            "max_head = true",
            "1:12: max_head must be a quantity such as \"64KiB\" or a number of bytes, not true or false",
        ),
        (
            "max_head = 1.5",
            "1:12: max_head must be a quantity such as \"64KiB\" or a number of bytes, not a fraction",
        ),
        (
            "deflate = 1",
            "1:11: deflate must be a word in quotes, not an integer of this form",
        ),
        (
            "pin_cores = 1",
            "1:13: pin_cores must be true or false, not an integer of this form",
        ),
        // Columns count characters, not bytes; a mark at the front is not a character of line 1.
        (
            "app = \"é\"\nworkers = 0",
            "1:7: app \"é\" is not one of the choices",
        ),
        ("\u{feff}workers = 0", "1:11: workers \"0\" is too small"),
        (
            "workers = 1\r\nbacklog = 0",
            "2:11: backlog \"0\" is too small",
        ),
    ];
    check(&table);
}

/// Texts, and the first complaint about each.
fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(
            complaints(text).first().map(String::as_str),
            Some(*expected),
            "{text}"
        );
    }
}

#[test]
fn a_section_has_its_own_keys() {
    check(&[
        ("[server]\nmax_head = 1", "1:2: unknown section \"server\""),
        (
            "[limits]\nmax_head = 1",
            "2:1: max_head stands in a section",
        ),
        (
            "anonymous = \"on\"",
            "1:1: anonymous stands outside of [auth]",
        ),
        (
            "[limits]\nanonymous = \"on\"",
            "2:1: anonymous stands outside of [auth]",
        ),
        ("auth = 1", "1:1: unknown key \"auth\""),
        ("[auth]\norigin = \"*\"", "2:1: unknown key \"origin\""),
        ("[auth]\norigins = []", "2:11: origins is empty"),
        (
            "[auth]\norigins = [\"same\", \"https://*.a.test\"]",
            "2:20: origins \"https://*.a.test\" has a wildcard",
        ),
        (
            "[auth]\norigins = [\"same\", \"same\"]",
            "2:20: origins \"same\" is listed twice",
        ),
    ]);
}

#[test]
fn tls_has_a_section_and_any_number_of_certificates() {
    let text = "\
[tls]
listen = [\"0.0.0.0:443\", \"[::]:443\"]
cert = \"example.pem\"
key = \"/etc/keys/example.key\"
client_ca = \"auto\"
min_version = \"1.2\"

[[tls.certificates]]
cert = \"other.pem\"
key = \"other.key\"
[[tls.certificates]]
cert = \"both.pem\"
";
    let contents = parse("/etc/throng/throng.toml", text);
    assert_eq!(contents.problems, []);
    let tls = resolve(contents, Vec::new(), Vec::new())
        .expect("it is sound")
        .config
        .tls;
    assert_eq!(tls.listen.len(), 2);
    let path = |name: &str| Some(Path::new("/etc").join(name));
    assert_eq!(
        tls.certificate.cert,
        path("throng/example.pem"),
        "seen from the file"
    );
    assert_eq!(tls.certificate.key, path("keys/example.key"));
    assert_eq!(tls.client_ca, None);
    let both = CertificateFiles {
        cert: path("throng/both.pem"),
        ..CertificateFiles::default()
    };
    assert_eq!((tls.more.len(), &tls.more[1]), (2, &both));
    check(&[
        (
            "tls_listen = \":443\"",
            "1:1: tls_listen is called listen, and stands in [tls]",
        ),
        (
            "[tls]\ntls_cert = \"a.pem\"",
            "2:1: tls_cert is called cert, and stands in [tls]",
        ),
        (
            "[tls]\ncertificates = 1",
            "2:16: certificates must be tables, not an integer of this form",
        ),
        (
            "[[tls.certificates]]\nkey = \"a\"",
            "1:1: a certificate has no cert",
        ),
        (
            "[[tls.certificates]]\ncret = \"a\"",
            "2:1: unknown key \"cret\"",
        ),
        (
            "[tls]\ncert = \"\"",
            "2:8: cert \"\" is no path, and not auto",
        ),
    ]);
}

#[test]
fn everything_is_reported_at_once() {
    let text = "workers = 0\nlissen = \"x\"\nmax_head = = 3\ndeflate = \"sharde\"\n";
    let complaints = complaints(text);
    let lines: Vec<_> = complaints.iter().map(|c| &c[..2]).collect();
    assert_eq!(lines, ["1:", "2:", "3:", "4:"], "{complaints:#?}");
}

#[test]
fn broken_toml_is_reported_once_per_line() {
    for text in [
        "workers =",
        "workers = 1 2",
        "= 3",
        "workers = \"2",
        "[a",
        "a b = 1",
    ] {
        let complaints = complaints(text);
        assert!(complaints[0].starts_with("1:"), "{complaints:?}");
        assert!(
            complaints.iter().all(|c| c.contains("not TOML")),
            "{complaints:?}"
        );
    }
}

#[test]
fn a_key_written_twice_is_refused() {
    let complaints = complaints("workers = 1\nworkers = 2");
    assert!(
        complaints[0].starts_with("2:1: not TOML: duplicate key"),
        "{complaints:?}"
    );
}

#[test]
fn unknown_keys_get_a_suggestion() {
    for (key, meant) in [
        ("max-message", "max_message"),
        ("max_msg", "max_message"),
        ("threads", "workers"),
        ("bind", "listen"),
        ("heartbeat", "ping_interval"),
    ] {
        let contents = parse("t.toml", &format!("{key} = 1"));
        assert_eq!(contents.problems[0].cure, format!("did you mean {meant}?"));
    }
    let contents = parse("t.toml", "zzz = 1");
    assert_eq!(
        contents.problems[0].cure,
        "throng serve --help lists the keys"
    );
}

#[test]
fn complaints_have_an_end() {
    let keys: String = (0..10_000).map(|n| format!("key{n} = 1\n")).collect();
    assert_eq!(complaints(&keys).len(), PROBLEMS_MAX);
    assert_eq!(complaints(&"nonsense\n".repeat(10_000)).len(), PROBLEMS_MAX);
    let list: String = (1..10_000).map(|port| format!("\":{port}\",")).collect();
    let complaints = complaints(&format!("listen = [{list}]"));
    assert_eq!(
        complaints,
        ["1:386: listen \":65\" is one more than the 64 there can be"]
    );
}

#[test]
fn rules_between_knobs_point_at_the_file() {
    let text = "queue_high = \"2MiB\"\nqueue_max = \"1MiB\"";
    assert_eq!(
        complaints(text),
        ["1:14: queue_high = 2MiB is not below queue_max = 1MiB"]
    );
}

#[test]
fn files_that_are_none() {
    let contents = read(Path::new("/nonexistent/throng.toml"));
    assert!(contents.problems[0].cause.starts_with("cannot be read"));
    let contents = read(Path::new("/"));
    assert!(
        contents.problems[0].cause.starts_with("cannot be read"),
        "a directory"
    );
    assert!(contents.problems[0].to_string().starts_with("/: error: "));
}

#[test]
fn binary_and_endless_files_are_refused() {
    let contents = read(Path::new("/dev/zero"));
    assert_eq!(contents.problems[0].cause, "is larger than 262144 bytes");
    let path = std::env::temp_dir().join(format!("throng-utf8-{}.toml", std::process::id()));
    fs::write(&path, b"workers = 1\nmax\xff").expect("the temporary directory is writable");
    let contents = read(&path);
    fs::remove_file(&path).expect("it was just written");
    assert!(
        matches!(
            contents.problems[0].place,
            Place::Spot {
                line: 2,
                column: 4,
                ..
            }
        ),
        "{:?}",
        contents.problems[0]
    );
}

proptest! {
    #[test]
    fn no_file_panics(text in "([a-z_]{0,8}|[\\[\\]=\"'{}.,#\n\r\t]|[0-9]{1,3}|é|\u{feff}){0,40}") {
        let contents = parse("t.toml", &text);
        for problem in contents.problems {
            let Place::Spot { line, column, .. } = problem.place else {
                panic!("a parsed file has only spots");
            };
            prop_assert!(line >= 1 && line <= text.matches('\n').count() + 1);
            prop_assert!(column >= 1);
        }
    }
}

/// A key in `[auth]`, and what is said about it.
#[test]
fn keys_for_tokens_are_judged() {
    let secret = "0123456789abcdef0123456789abcdef";
    let table = [
        (
            "algorithm = \"HS256\"",
            "1:1: a key has neither secret nor file",
        ),
        ("file = \"k\"", "1:1: a key has no algorithm"),
        (
            "algorithm = \"none\"\nfile = \"k\"",
            "2:13: algorithm \"none\" is not one of them",
        ),
        (
            "algorithm = \"hs256\"\nfile = \"k\"",
            "2:13: algorithm \"hs256\" is not one of them",
        ),
        (
            "algorithm = \"HS256\"\nsecret = \"sesame\"",
            "3:10: the secret has fewer than 32 bytes",
        ),
        (
            "algorithm = \"RS256\"\nsecret = \"SECRET\"",
            "3:10: a key for RS256 is no secret",
        ),
        (
            "algorithm = \"HS256\"\nsecret = \"SECRET\"\nfile = \"k\"",
            "3:10: a key has both secret and file",
        ),
        (
            "algorithm = 1",
            "2:13: algorithm must be a text in quotes, not an integer of this form",
        ),
        (
            "algorithm = \"HS256\"\nsecret = \"\"",
            "3:10: secret must be a text in quotes, not empty",
        ),
        ("algoritm = \"HS256\"", "2:1: unknown key \"algoritm\""),
    ];
    for (text, expected) in table {
        let text = format!("[[auth.keys]]\n{}", text.replace("SECRET", secret));
        let complaints = complaints(&text);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        // Where a table of tables begins is the parser's own affair.
        let complaint = complaints[0].split_once(": ").expect("place: cause").1;
        let (place, cause) = expected.split_once(": ").expect("place: cause");
        assert_eq!(complaint, cause, "{text}");
        assert!(
            place == "1:1" || complaints[0].starts_with(place),
            "{complaints:?}"
        );
        assert!(!complaints[0].contains("sesame") && !complaints[0].contains(secret));
    }
    let many = format!("[[auth.keys]]\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n").repeat(17);
    assert!(complaints(&many)[0].ends_with("there are 17 keys, and there can be 16"));
    assert!(
        complaints("[auth]\nkeys = 1")[0]
            .ends_with("keys must be tables, not an integer of this form")
    );
    assert!(complaints("[auth]\ncookie = \"a;b\"")[0].ends_with("is no name of a cookie"));
}

#[test]
fn tokens_are_read_whole() {
    let text = r#"
[auth]
origins = ["same", "https://App.test:443"]
anonymous = "off"
issuer = "me"
audience = "you"
cookie = "throng_token"
jwks = "keys.json"

[[auth.keys]]
algorithm = "HS256"
kid = "2026"
secret = "0123456789abcdef0123456789abcdef"

[[auth.keys]]
algorithm = "EdDSA"
file = "/etc/throng/ed.pem"

[limits]
max_handshakes = 9
"#;
    let contents = parse("conf/t.toml", text);
    assert_eq!(contents.problems, []);
    let resolved = resolve(contents, Vec::new(), Vec::new()).expect("it is right");
    let auth = resolved.config.auth;
    assert_eq!(resolved.config.admission.handshakes_per_s, 9);
    let origins: Vec<_> = auth.origins.iter().map(ToString::to_string).collect();
    assert_eq!(origins, ["same", "https://app.test"]);
    let tokens = auth.tokens;
    assert_eq!(
        (&*tokens.issuer, &*tokens.audience, &*tokens.cookie),
        ("me", "you", "throng_token")
    );
    assert_eq!(tokens.jwks.as_deref(), Some(Path::new("conf/keys.json")));
    let secret = Secret::new(b"0123456789abcdef0123456789abcdef").expect("it is long enough");
    let expected = [
        KeyEntry {
            algorithm: Algorithm::Hs256,
            kid: Some("2026".to_owned()),
            material: Material::Secret(secret),
        },
        KeyEntry {
            algorithm: Algorithm::EdDsa,
            kid: None,
            material: Material::File("/etc/throng/ed.pem".into()),
        },
    ];
    assert_eq!(tokens.keys, expected);
    assert!(!format!("{tokens:?}").contains("0123456789abcdef"));
}

#[test]
fn namespaces_are_read_whole() {
    let text = r##"
[[namespaces]]
name = "chat"
history_size = 50
history_ttl = "1h"
durable = false
recovery = "cache"
recover_max = 10
presence = true
join_leave = true
subscribe = "anyone"
publish = "subscribers"
read = "users"
slow = "conflate"

[[namespaces]]
name = "#"

[history]
dir = "./histories"
sync = "always"

[limits]
max_channels = 7
"##;
    let contents = parse("t.toml", text);
    assert_eq!(contents.problems, []);
    let config = resolve(contents, Vec::new(), Vec::new())
        .expect("it is right")
        .config;
    let chat = Namespace {
        name: "chat".to_owned(),
        history_size: 50,
        history_ttl_ms: 3_600_000,
        is_durable: false,
        recovery: namespace::Recovery::Cache,
        recover_max: 10,
        presence: true,
        join_leave: true,
        subscribe: namespace::Right::Anyone,
        publish: namespace::Right::Subscribers,
        read: namespace::Right::Users,
        slow: namespace::Policy::Conflate,
    };
    let personal = Namespace {
        name: "#".to_owned(),
        ..Namespace::default()
    };
    assert_eq!(config.namespaces, [chat, personal]);
    assert_eq!(config.share.channels_max, 7);
    assert_eq!(
        config.history.dir.as_deref(),
        Some(Path::new("./histories"))
    );
}

#[test]
fn mistakes_in_namespaces_have_their_place() {
    let table = [
        (
            "name = \"a\"\nhistory_size = -1",
            "3:16: history_size \"-1\" does not begin with a whole number",
        ),
        (
            "name = \"a\"\nhistory_size = \"1\"",
            "3:16: history_size must be a decimal number, not a string",
        ),
        (
            "name = \"a\"\nslow = \"drop_oldest\"",
            "3:8: slow \"drop_oldest\" is not one of the choices",
        ),
        (
            "name = \"a\"\nhistory_ttl = \"5\"",
            "3:15: history_ttl has no effect without a history",
        ),
        (
            "name = \"a\"\npresense = true",
            "3:1: unknown option \"presense\" of a namespace",
        ),
        (
            "name = \"a b\"",
            "2:8: namespace \"a b\" has a letter that it may not have",
        ),
        (
            "name = \"chat:\"",
            "2:8: namespace \"chat:\" has a letter that it may not have",
        ),
        ("name = 1", "2:8: name must be a text in quotes"),
        (
            "name = \"a\"\n[[namespaces]]\nname = \"a\"",
            "4:8: namespace \"a\" is there twice",
        ),
    ];
    for (text, expected) in table {
        let text = format!("[[namespaces]]\n{text}");
        assert_eq!(complaints(&text), [expected], "{text}");
    }
    let causes = |text: &str| {
        let found = complaints(text);
        found
            .into_iter()
            .map(|c| c.split_once(": ").expect("a place").1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        causes("[[namespaces]]\npresence = true"),
        ["a namespace has no name"]
    );
    assert_eq!(
        causes("namespaces = 3"),
        ["namespaces must be tables, not an integer of this form"]
    );
    assert_eq!(
        causes("namespaces = [3]"),
        ["a namespace must be a table, not an integer of this form"]
    );
    let many: String = (0..300)
        .map(|n| format!("[[namespaces]]\nname = \"n{n}\"\n"))
        .collect();
    assert_eq!(
        causes(&many),
        ["there are 300 namespaces, and there can be 256"]
    );
}

#[test]
fn options_and_keys_of_sections_are_recognised_elsewhere() {
    let cure = |text: &str| parse("t.toml", text).problems[0].cure.clone();
    assert_eq!(
        cure("history_size = 5"),
        "it is an option of a namespace: write [[namespaces]] and a name above it"
    );
    assert!(cure("history_dir = 5").starts_with("write [history] dir = "));
    assert_eq!(
        cure("rate_limit = 5"),
        "did you mean max_message_rate in [limits]?"
    );
    let option = |word: &str| cure(&format!("[[namespaces]]\nname = \"a\"\n{word} = 1"));
    assert_eq!(option("history_sise"), "did you mean history_size?");
    assert_eq!(option("persist"), "did you mean durable?");
    assert_eq!(option("zzz"), "throng help namespaces lists the options");
}
