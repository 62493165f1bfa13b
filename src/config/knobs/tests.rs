//! What must hold for every entry of the table.

use std::collections::BTreeSet;

use super::*;
use crate::config::quantity::{show_bytes, show_duration};
use crate::config::{Config, Place, Setting, file, resolve};

/// Sets one knob as the command line would.
fn by_flag(knob: &'static Knob, text: &str) -> Result<Config, String> {
    let setting = Setting {
        knob,
        text: text.to_owned(),
        place: Place::CommandLine,
    };
    resolve(file::Contents::default(), vec![setting], Vec::new())
        .map(|resolved| resolved.config)
        .map_err(|problems| problems[0].cause.clone())
}

/// Sets one knob as a file would.
fn by_file(line: &str) -> Result<Config, String> {
    let contents = file::parse("t.toml", line);
    resolve(contents, Vec::new(), Vec::new())
        .map(|resolved| resolved.config)
        .map_err(|problems| problems[0].to_string())
}

/// The bounds of a number, as text: (min, max, one below if there is one, one above).
fn bounds(knob: &Knob) -> Option<[String; 4]> {
    let (min, max, show): (u64, u64, fn(u64) -> String) = match &knob.kind {
        Kind::Bytes(n) => (n.min, n.max, show_bytes),
        Kind::Duration(n) => (n.min, n.max, show_duration),
        Kind::Count(n) => (n.min, n.max, |n| n.to_string()),
        Kind::CountOrAuto(t) => (t.min.into(), t.max.into(), |n| n.to_string()),
        Kind::Switch(_)
        | Kind::Choice(_)
        | Kind::Endpoints(_)
        | Kind::Origins(_)
        | Kind::Sources(_)
        | Kind::EndpointOrOff(_)
        | Kind::PathOrWord(_) => return None,
    };
    Some([show(min), show(max), show(min - 1), show(max + 1)])
}

#[test]
fn names_are_unique_and_spelt_alike() {
    let names: BTreeSet<_> = KNOBS.iter().map(|knob| knob.name).collect();
    assert_eq!(names.len(), KNOBS.len());
    for knob in KNOBS {
        let is_plain = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(knob.name.chars().all(is_plain), "{}", knob.name);
        assert!(
            !knob.brief.ends_with('.') && !knob.brief.contains('|'),
            "{}",
            knob.name
        );
        assert!(knob.story.ends_with('.'), "{}", knob.name);
        assert!(
            knob.also.iter().all(|word| !names.contains(word)),
            "{}: another knob is called that",
            knob.name
        );
    }
}

#[test]
fn every_default_is_accepted_and_changes_nothing() {
    let defaults = Config::default();
    for knob in KNOBS {
        let mut config = defaults.clone();
        knob.clear_list(&mut config);
        knob.accept(&mut config, &knob.show(&defaults))
            .expect(knob.name);
        assert_eq!(config, defaults, "{}", knob.name);
    }
}

#[test]
fn flag_and_file_agree_on_every_example() {
    for knob in KNOBS {
        let line = knob.line(&file::literal(&knob.kind, knob.example));
        let line = line.replace("] ", "]\n");
        let from_flag = by_flag(knob, knob.example).expect(knob.name);
        assert_eq!(by_file(&line), Ok(from_flag.clone()), "{line}");
        assert_eq!(
            knob.show(&from_flag),
            knob.example,
            "examples are written the short way"
        );
        if knob.name != "app" {
            assert_ne!(
                from_flag,
                Config::default(),
                "{}: the example shows a change",
                knob.name
            );
        }
    }
}

#[test]
fn bounds_are_reachable_and_kept() {
    let mut numbers = 0;
    for knob in KNOBS {
        let Some([min, max, below, above]) = bounds(knob) else {
            continue;
        };
        numbers += 1;
        let mut config = Config::default();
        for edge in [&min, &max] {
            knob.accept(&mut config, edge).expect(knob.name);
            assert_eq!(&knob.show(&config), edge, "{} fits its field", knob.name);
        }
        let refusal = knob.accept(&mut config, &above).expect_err(knob.name);
        assert_eq!(refusal.cause, "is too large", "{} {above}", knob.name);
        assert!(
            refusal.cure.contains(&max),
            "{}: {}",
            knob.name,
            refusal.cure
        );
        if below != "0" || !knob.accepts().contains("or 0") {
            let refusal = knob.accept(&mut config, &below).expect_err(knob.name);
            assert_eq!(refusal.cause, "is too small", "{} {below}", knob.name);
        }
        assert_eq!(&knob.show(&config), &max, "a refused value changes nothing");
    }
    assert!(numbers > 15, "the loop saw the table");
}

#[test]
fn zero_is_accepted_where_it_means_something() {
    for knob in KNOBS {
        let (Kind::Bytes(number) | Kind::Duration(number) | Kind::Count(number)) = &knob.kind
        else {
            continue;
        };
        let mut config = Config::default();
        let outcome = knob.accept(&mut config, "0");
        assert_eq!(
            outcome.is_ok(),
            number.zero.is_some() || number.min == 0,
            "{}",
            knob.name
        );
        if outcome.is_ok() {
            assert_eq!(knob.show(&config), "0");
            assert!(knob.accepts().contains("or 0 ("), "{}", knob.name);
        }
    }
}

#[test]
fn words_are_accepted_and_others_are_not() {
    for knob in KNOBS {
        let words = match &knob.kind {
            Kind::Choice(choice) => choice.words.to_vec(),
            Kind::Switch(_) => vec!["off", "on"],
            _ => continue,
        };
        let mut config = Config::default();
        for word in words {
            knob.accept(&mut config, word).expect(knob.name);
            assert_eq!(knob.show(&config), word, "{}", knob.name);
        }
        let refusal = knob.accept(&mut config, "perhaps").expect_err(knob.name);
        assert!(!refusal.cure.is_empty());
    }
}

#[test]
fn auto_can_be_written_back() {
    let knob = find("workers").expect("it is in the table");
    assert_eq!(by_flag(knob, "3").map(|c| c.workers), Ok(Count::Exactly(3)));
    assert_eq!(by_flag(knob, "auto").map(|c| c.workers), Ok(Count::Auto));
    assert_eq!(
        by_file("workers = \"auto\"").map(|c| c.workers),
        Ok(Count::Auto)
    );
    let cause = by_flag(knob, "many").expect_err("no number");
    assert_eq!(
        cause,
        "--workers \"many\" does not begin with a whole number"
    );
}

#[test]
fn the_admin_port_can_be_moved_and_closed() {
    let knob = find("admin").expect("it is in the table");
    assert_eq!(by_flag(knob, "off").map(|c| c.admin), Ok(None));
    assert_eq!(by_file("admin = false").map(|c| c.admin), Ok(None));
    let elsewhere = "unix:/run/a.sock".parse().ok();
    assert_eq!(
        by_flag(knob, "unix:/run/a.sock").map(|c| c.admin),
        Ok(elsewhere)
    );
    let cause = by_file("admin = true").expect_err("where?");
    assert!(cause.contains("must be an address"), "{cause}");
    let knob = find("admin-key-file").expect("it is in the table");
    let cause = by_flag(knob, "0123456789abcdef").expect_err("that is the key itself");
    assert!(cause.contains("is no path, and not auto"), "{cause}");
    assert_eq!(by_flag(knob, "auto").map(|c| c.admin_key_file), Ok(None));
}

#[test]
fn no_text_is_accepted_by_accident() {
    for knob in KNOBS {
        for text in [
            "",
            " ",
            "-1",
            "1e3",
            "0x10",
            "NaN",
            "99999999999999999999",
            "\u{0}",
            "é",
        ] {
            let outcome = knob.accept(&mut Config::default(), text);
            assert!(outcome.is_err(), "{} took {text:?}", knob.name);
        }
    }
}
