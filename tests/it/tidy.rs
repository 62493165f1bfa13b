//! The rules of the house that a compiler does not know, checked over every source file.
//!
//! A rule is a function from a file to findings. Beneath the rules each has its own test on small
//! strings: one that breaks it and one that only looks like it, so that the checker can fail too.
//! When a finding is right about the letter and wrong about the case, change the rule here, with
//! its reason, rather than the code there.

use std::fs;
use std::path::Path;

use source::{Source, Token};

mod source;

#[test]
fn the_tree_is_tidy() {
    let sources = sources();
    assert!(
        sources.len() > 20,
        "the walk found {} files only",
        sources.len()
    );
    let findings: Vec<_> = sources.iter().flat_map(findings).collect();
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

/// Who may import whom among the top-level modules: the drawing in `src/lib.rs` as a table. A module
/// may always use itself, and one that is not here may not exist.
const WALLS: &[(&str, &[&str])] = &[
    ("http1", &[]),
    ("limits", &[]),
    ("metrics", &[]),
    ("page", &[]),
    ("proxy", &[]),
    ("sys", &[]),
    ("ws", &["http1", "limits"]),
    ("tls", &["sys"]),
    ("config", &["limits", "proxy"]),
    (
        "reactor",
        &["ws", "tls", "http1", "sys", "metrics", "limits", "proxy"],
    ),
    ("echo", &["reactor", "ws", "http1"]),
    ("hub", &["ws"]),
    ("dialect", &["hub"]),
    ("journal", &["hub", "sys"]),
    ("auth", &["config"]),
    ("admin", &["http1", "metrics", "sys", "hub"]),
    (
        "service",
        &[
            "hub", "dialect", "auth", "admin", "page", "reactor", "ws", "http1", "config",
            "journal",
        ],
    ),
    ("tuning", &["sys"]),
    ("cli", &["auth", "config", "sys", "tls", "tuning"]),
    ("server", EVERYTHING),
    ("lib", EVERYTHING),
    ("main", &["cli", "config", "server"]),
    (
        "loadgen",
        &[
            "ws", "tls", "auth", "http1", "sys", "reactor", "metrics", "limits", "tuning",
        ],
    ),
];

const EVERYTHING: &[&str] = &[
    "http1", "limits", "metrics", "sys", "ws", "tls", "config", "reactor", "echo", "cli", "server",
    "tuning", "hub", "dialect", "auth", "admin", "page", "proxy", "service", "journal",
];

/// What lies outside the crate and has one home: the operating system in `sys`, readiness in the
/// reactor, cryptography in `tls`, and in one corner of it the library whose next release we will
/// have to move to.
const HOMES: &[(&str, &[&str])] = &[
    ("libc", &["sys"]),
    ("rustix", &["sys"]),
    ("socket2", &["sys"]),
    ("mio", &["sys", "reactor"]),
    ("aws_lc_rs", &["tls"]),
    ("rustls", &["tls/engine"]),
    ("jsonwebtoken", &["auth"]),
];

/// Modules that turn bytes into bytes: no socket, clock, thread or file, so that their tests need
/// none either. (`tls` and `auth` read the files that certificates and keys are in.)
const PURE: &[(&str, &[&str])] = &[
    ("auth", &["net", "time"]),
    ("dialect", IMPURE),
    ("http1", IMPURE),
    ("hub", IMPURE),
    ("limits", IMPURE),
    ("page", IMPURE),
    ("proxy", IMPURE),
    ("tls", &["env", "net", "os", "process", "thread", "time"]),
    ("ws", IMPURE),
];
const IMPURE: &[&str] = &["env", "fs", "net", "os", "process", "thread", "time"];

/// Where a reader gives up on a file; 400 is the aim. Files of tests are not counted.
const FILE_LINES_MAX: usize = 600;

type Rule = fn(&Source) -> Vec<(usize, String)>;

const RULES: &[Rule] = &[
    walls,
    homes,
    home_of_unsafe,
    file_size,
    unfinished_work,
    names,
    module_paragraph,
    reasons,
    commented_out_code,
];

fn findings(source: &Source) -> Vec<String> {
    let found = RULES.iter().flat_map(|rule| rule(source));
    found
        .map(|(line, text)| format!("{}:{line}: {text}", source.path))
        .collect()
}

/// Modules import only from below.
fn walls(source: &Source) -> Vec<(usize, String)> {
    let Some(module) = source.module() else {
        return Vec::new();
    };
    let Some((_, allowed)) = WALLS.iter().find(|(name, _)| *name == module) else {
        return vec![(1, format!("`{module}` has no row in the table of walls"))];
    };
    let imports = source
        .paths()
        .filter_map(|(line, path)| Some((line, imported(source, &path)?)));
    let is_foreign =
        |(_, other): &(usize, String)| other != module && !allowed.contains(&other.as_str());
    imports
        .filter(is_foreign)
        .map(|(line, other)| (line, format!("`{module}` may not import `{other}`")))
        .collect()
}

/// The top-level module of ours that `path` leads to, if it leaves the file's own.
fn imported(source: &Source, path: &[String]) -> Option<String> {
    let supers = path
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    // The generator is a crate of its own: what it calls its own is none of ours, whatever the name.
    let is_ours = source.module() != Some("loadgen");
    let from_root = match path.first()?.as_str() {
        "throng" => &path[1..],
        "crate" if is_ours => &path[1..],
        // From src/ws/frame.rs, `super::super` is the root; an inline module is one deeper.
        "super" if is_ours && supers >= source.depth() => &path[supers..],
        _ => return None,
    };
    from_root
        .first()
        .filter(|name| EVERYTHING.contains(&name.as_str()))
        .cloned()
}

/// Crates and corners of `std` stay where they belong.
fn homes(source: &Source) -> Vec<(usize, String)> {
    let Some(module) = source.module().filter(|_| source.is_under("src/")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (line, path) in source.paths() {
        let [first, second, ..] = path.as_slice() else {
            continue;
        };
        let home = HOMES.iter().find(|(name, _)| name == first);
        let is_home = |home: &&str| *home == module || source.is_under(&format!("src/{home}/"));
        if home.is_some_and(|(_, homes)| !homes.iter().any(is_home)) {
            found.push((line, format!("`{first}` is not for `{module}`")));
        }
        let pure = PURE.iter().find(|(name, _)| *name == module);
        let leaves = |(_, banned): &(_, &[&str])| banned.contains(&second.as_str());
        if first == "std" && pure.is_some_and(leaves) {
            found.push((
                line,
                format!("`std::{second}` is not for `{module}`, which is pure"),
            ));
        }
    }
    found
}

/// `unsafe` is for `sys`.
fn home_of_unsafe(source: &Source) -> Vec<(usize, String)> {
    let exempt = source.is_under("src/sys/") || source.is_under("benches/");
    let words = source
        .tokens
        .iter()
        .filter(|token| !exempt && token.text == "unsafe");
    words
        .map(|token| (token.line, "`unsafe` outside src/sys".to_owned()))
        .collect()
}

fn file_size(source: &Source) -> Vec<(usize, String)> {
    let lines = source.text.lines().count();
    if source.is_test() || lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![(
        lines,
        format!("{lines} lines; split by nouns before {FILE_LINES_MAX}"),
    )]
}

/// Nothing that says "later" or "for now": that is what issues are for.
fn unfinished_work(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for window in source.tokens.windows(2) {
        let [name, bang] = window else { continue };
        let is_banned = ["todo", "dbg", "unimplemented"].contains(&name.text.as_str());
        if is_banned && bang.text == "!" {
            found.push((name.line, format!("`{}!`", name.text)));
        }
    }
    // In halves, or this file would find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    for (line, text) in source.text.lines().enumerate() {
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        found.extend(
            words
                .filter(|word| marks.contains(word))
                .map(|mark| (line + 1, mark.to_owned())),
        );
    }
    found
}

/// Names that say nothing: `get_x` is `x`, and everything is data, or information, or manages.
fn names(source: &Source) -> Vec<(usize, String)> {
    if !source.is_product() {
        return Vec::new();
    }
    let declared = source.tokens.windows(3).filter_map(declared_name);
    declared
        .filter(|name| says_nothing(&name.text))
        .map(|name| (name.line, format!("`{}` says nothing", name.text)))
        .collect()
}

/// The name that three tokens in a row declare, if they do.
fn declared_name(window: &[Token]) -> Option<&Token> {
    const KEYWORDS: &[&str] = &[
        "fn", "let", "struct", "enum", "trait", "type", "mod", "const", "static", "mut",
    ];
    let [before, name, after] = window else {
        return None;
    };
    // `name:` is a field or a parameter; `::` is a token of its own.
    let is_declared = KEYWORDS.contains(&before.text.as_str()) || after.text == ":";
    (is_declared && name.is_word() && before.text != "&").then_some(name)
}

fn says_nothing(name: &str) -> bool {
    let is_manager = name.split('_').any(|part| part == "manager") || name.contains("Manager");
    name.starts_with("get_") || name == "data" || name == "info" || is_manager
}

/// Every file opens with a paragraph that says what it is. (`foo/tests.rs` says it by its name, and
/// a fuzz target is one line.)
fn module_paragraph(source: &Source) -> Vec<(usize, String)> {
    let is_plain = source.path.ends_with("/tests.rs") || source.is_under("fuzz/");
    if is_plain || source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![(
        1,
        "the file does not open with a `//!` paragraph".to_owned(),
    )]
}

/// A lint that is silenced says why.
fn reasons(source: &Source) -> Vec<(usize, String)> {
    let silences = |attribute: &[Token]| {
        let called = |name: &str| {
            attribute
                .windows(2)
                .any(|pair| pair[0].text == name && pair[1].text == "(")
        };
        (called("allow") || called("expect"))
            && !attribute.iter().any(|token| token.text == "reason")
    };
    let silent = source.attributes().filter(|attribute| silences(attribute));
    silent
        .map(|attribute| {
            (
                attribute[0].line,
                "a lint is silenced without a reason".to_owned(),
            )
        })
        .collect()
}

/// Version control remembers deleted code. Only what ends like code and begins like it counts: prose
/// may do one of the two.
fn commented_out_code(source: &Source) -> Vec<(usize, String)> {
    const BEGINNINGS: &[&str] = &[
        "let ", "fn ", "pub ", "use ", "if ", "for ", "while ", "match ", "return ", "self.", "}",
        "#[",
    ];
    let is_code = |comment: &str| {
        let ends_a_block =
            comment.ends_with('{') || comment.ends_with('}') || comment.ends_with(")]");
        let ends_a_statement = comment.ends_with(';') && comment.contains(['=', '(', ':']);
        let begins = BEGINNINGS
            .iter()
            .any(|beginning| comment.starts_with(beginning));
        begins && (ends_a_block || ends_a_statement)
    };
    let comments = source
        .comments
        .iter()
        .filter(|(_, comment)| is_code(comment));
    comments
        .map(|(line, _)| (*line, "code in a comment".to_owned()))
        .collect()
}

/// Every Rust file of ours, wherever Cargo looks for some.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "loadgen", "tests", "examples", "benches", "fuzz"] {
        collect(root, &root.join(folder), &mut sources);
    }
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    // `examples` and its like need not exist.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a folder that opens can be listed").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("the walk began at the root");
            let name = name.to_str().expect("our files have plain names");
            sources.push(Source::new(
                name,
                &fs::read_to_string(&path).expect("a source file is UTF-8"),
            ));
        }
    }
}

/// The lines on which `rule` finds something in `text`, were it the file `path`.
fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    rule(&Source::new(path, text))
        .into_iter()
        .map(|(line, _)| line)
        .collect()
}

#[test]
fn walls_stop_imports_from_above_and_beside() {
    let foreign = [
        ("src/ws/frame.rs", "use crate::reactor::Clock;"),
        (
            "src/ws/mod.rs",
            "use crate::{http1, reactor::{clock, wheel}};",
        ),
        (
            "src/ws/frame.rs",
            "fn f() { crate::sys::clock::monotonic_ms(); }",
        ),
        ("src/ws/frame.rs", "use super::super::reactor;"),
        ("src/limits.rs", "use super::ws::frame;"),
        (
            "src/ws/frame.rs",
            "mod tests { use super::super::super::metrics::Counter; }",
        ),
        ("src/sys/socket.rs", "use crate::metrics;"),
        ("src/cli/mod.rs", "use crate::server::run;"),
        ("src/main.rs", "use throng::reactor;"),
        ("loadgen/src/main.rs", "use throng::server;"),
        ("src/gossip/mod.rs", ""),
    ];
    for (path, text) in foreign {
        assert!(!lines(walls, path, text).is_empty(), "{path}: {text}");
    }
    assert_eq!(
        lines(
            walls,
            "src/ws/mod.rs",
            "use crate::{\n    sys,\n    metrics as m,\n};"
        ),
        [2, 3]
    );
    let own = [
        (
            "src/ws/frame.rs",
            "use crate::{http1::{self, Head}, limits, ws::close};",
        ),
        (
            "src/ws/frame.rs",
            "use super::close; use super::super::http1;",
        ),
        ("src/ws/frame/tests.rs", "use super::super::reactor_like;"),
        (
            "src/ws/mod.rs",
            "//! See [`crate::reactor`].\n/* crate::sys */ const A: &str = \"crate::sys\";",
        ),
        (
            "src/ws/mod.rs",
            "mod tests { use super::*; use super::frame::server; }",
        ),
        ("src/server/mod.rs", "use crate::{reactor, sys, ws};"),
        ("tests/it/main.rs", "use throng::server;"),
        ("loadgen/src/scenario.rs", "use crate::dialect::Dialect;"),
    ];
    for (path, text) in own {
        assert_eq!(lines(walls, path, text), [0; 0], "{path}: {text}");
    }
}

#[test]
fn crates_and_std_stay_at_home() {
    let strays = [
        ("src/reactor/worker.rs", "use libc::EMFILE;"),
        ("src/server/mod.rs", "fn f() { ::socket2::Socket::new(); }"),
        ("src/ws/mod.rs", "use mio::Token;"),
        ("src/ws/mod.rs", "use std::{fmt, net::SocketAddr};"),
        ("src/ws/mod.rs", "fn f(at: std::time::Instant) {}"),
        ("src/http1/mod.rs", "use std::thread;"),
        ("src/tls/keys.rs", "use rustls::ServerConfig;"),
        ("src/tls/engine.rs", "use rustls::ServerConfig;"),
        ("src/tls/keys.rs", "fn f(at: std::time::Instant) {}"),
        ("src/reactor/worker.rs", "use aws_lc_rs::aead;"),
    ];
    for (path, text) in strays {
        assert_eq!(lines(homes, path, text), [1], "{path}: {text}");
    }
    let at_home = [
        (
            "src/sys/socket.rs",
            "use libc::EMFILE; use socket2::SockRef; use std::net::Shutdown;",
        ),
        (
            "src/reactor/worker.rs",
            "use mio::{Poll, Token}; use std::time::Duration;",
        ),
        (
            "src/ws/mod.rs",
            "use std::{fmt, mem}; // not std::net, nor libc::c_int",
        ),
        ("src/tls/engine/server.rs", "use rustls::ServerConfig;"),
        ("src/tls/certificates.rs", "use std::fs;"),
        ("loadgen/src/main.rs", "use mio::Token;"),
    ];
    for (path, text) in at_home {
        assert_eq!(lines(homes, path, text), [0; 0], "{path}: {text}");
    }
}

#[test]
fn unsafe_is_found_outside_sys() {
    let text = "fn f() {\n    unsafe { g() }\n}";
    for path in [
        "src/ws/mask.rs",
        "loadgen/src/main.rs",
        "tests/it/main.rs",
        "src/system.rs",
    ] {
        assert_eq!(lines(home_of_unsafe, path, text), [2], "{path}");
    }
    assert_eq!(lines(home_of_unsafe, "src/sys/socket.rs", text), [0; 0]);
    let talk =
        "// unsafe\n/* /* unsafe */ unsafe */ const A: &str = r#\"unsafe \"# ; deny(unsafe_code)";
    assert_eq!(lines(home_of_unsafe, "src/ws/mask.rs", talk), [0; 0]);
}

#[test]
fn long_files_are_found_unless_they_are_tests() {
    let long = "//! Text.\n".repeat(FILE_LINES_MAX + 1);
    assert_eq!(
        lines(file_size, "src/ws/frame.rs", &long),
        [FILE_LINES_MAX + 1]
    );
    assert_eq!(lines(file_size, "src/ws/frame/tests.rs", &long), [0; 0]);
    assert_eq!(lines(file_size, "tests/it/echo.rs", &long), [0; 0]);
    assert_eq!(lines(file_size, "src/ws/frame.rs", &long[10..]), [0; 0]);
}

#[test]
fn unfinished_work_is_found() {
    let mark = format!("// {}: later", concat!("TO", "DO"));
    for text in ["fn f() { todo!() }", "dbg!(x);", "unimplemented!();", &mark] {
        assert_eq!(lines(unfinished_work, "src/a.rs", text), [1], "{text}");
    }
    for text in [
        "let todo = 1;",
        "// dbg!(x)",
        "const EXXXIT: u8 = 1;",
        "a != todo",
    ] {
        assert_eq!(lines(unfinished_work, "src/a.rs", text), [0; 0], "{text}");
    }
}

#[test]
fn names_that_say_nothing_are_found() {
    let nothing = [
        "fn get_peer() {}",
        "let data = 1;",
        "let mut info = 1;",
        "struct S { data: u8 }",
        "fn f(info: &str) {}",
        "struct ConnectionManager;",
        "mod pool_manager;",
    ];
    for text in nothing {
        assert_eq!(lines(names, "src/a.rs", text), [1], "{text}");
        assert_eq!(
            lines(names, "tests/it/a.rs", text),
            [0; 0],
            "tests may: {text}"
        );
    }
    for text in [
        "fn target() {}",
        "let data_frames = 1;",
        "event.data",
        "log::info!(1)",
        "get_mut()",
    ] {
        assert_eq!(lines(names, "src/a.rs", text), [0; 0], "{text}");
    }
}

#[test]
fn a_missing_paragraph_is_found() {
    for text in [
        "",
        "use std::fmt;\n//! Late.",
        "/// Of an item.\nfn f() {}",
        "//!\n",
    ] {
        assert_eq!(lines(module_paragraph, "src/a.rs", text), [1], "{text}");
    }
    assert_eq!(
        lines(module_paragraph, "src/a.rs", "//! What it is.\n"),
        [0; 0]
    );
}

#[test]
fn a_lint_silenced_without_a_reason_is_found() {
    let silent = [
        "#[allow(dead_code)]",
        "#![allow(clippy::todo)]",
        "#[expect(\n    dead_code\n)]",
        "#[cfg_attr(test, allow(dead_code))]",
        "#[allow(dead_code)] // reason = \"in a comment\"",
    ];
    for text in silent {
        assert_eq!(lines(reasons, "src/a.rs", text), [1], "{text}");
    }
    for text in [
        "#[allow(dead_code, reason = \"why\")]",
        "#[derive(Debug)]",
        "x.expect(\"why\")",
    ] {
        assert_eq!(lines(reasons, "src/a.rs", text), [0; 0], "{text}");
    }
}

#[test]
fn code_in_a_comment_is_found() {
    for text in [
        "// let x = y;",
        "    // if a {",
        "// }",
        "// self.flush();",
        "// #[derive(Debug)]",
    ] {
        assert_eq!(lines(commented_out_code, "src/a.rs", text), [1], "{text}");
    }
    for text in [
        "// let it fire, look, and set it again;",
        "/// let x = y;",
        "//! }",
        "// for (a) see b.",
    ] {
        assert_eq!(
            lines(commented_out_code, "src/a.rs", text),
            [0; 0],
            "{text}"
        );
    }
}
