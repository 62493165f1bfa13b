//! `[[namespaces]]`: a name, and options from their own table.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Contents, PROBLEMS_MAX, Source, in_order, literal, text_for, type_name};
use crate::config::namespace::{self, NAME_BYTES_MAX, NAMESPACES_MAX, OPTIONS, PERSONAL};
use crate::config::suggest::nearest;
use crate::config::{Knob, Namespace, Problem};

/// The section that is read here.
pub(super) const SECTION: &str = "namespaces";

impl Source<'_> {
    /// All of `[[namespaces]]`.
    pub(super) fn namespaces(&self, value: &Spanned<DeValue<'_>>, contents: &mut Contents) {
        let start = value.span().start;
        let DeValue::Array(entries) = value.get_ref() else {
            let what = type_name(value.get_ref());
            contents.problems.push(Problem::error(
                self.place(start),
                format!("namespaces must be tables, not {what}"),
                CURE,
            ));
            return;
        };
        if entries.len() > NAMESPACES_MAX {
            contents.problems.push(Problem::error(
                self.place(start),
                format!(
                    "there are {} namespaces, and there can be {NAMESPACES_MAX}",
                    entries.len()
                ),
                "give channels that are alike one namespace",
            ));
        }
        for entry in entries.iter().take(NAMESPACES_MAX) {
            if contents.problems.len() >= PROBLEMS_MAX {
                return;
            }
            match entry.get_ref() {
                DeValue::Table(table) => self.namespace(entry.span().start, table, contents),
                other => contents.problems.push(Problem::error(
                    self.place(entry.span().start),
                    format!("a namespace must be a table, not {}", type_name(other)),
                    CURE,
                )),
            }
        }
    }

    fn namespace(&self, start: usize, table: &DeTable<'_>, contents: &mut Contents) {
        let mut namespace = Namespace::default();
        let (mut name, mut written) = (None, Vec::new());
        for (key, value) in in_order(table) {
            let at = value.span().start;
            let word: &str = key.get_ref();
            if word == "name" {
                name = Some((value.get_ref().as_str(), at));
            } else if let Some(option) = OPTIONS.iter().find(|option| option.key() == word) {
                written.push((option.name, at));
                if let Err(problem) = self.option(option, value, &mut namespace) {
                    contents.problems.push(problem);
                }
            } else {
                let place = self.place(key.span().start);
                contents.problems.push(unknown(word, place));
            }
        }
        let problem = match name {
            None => Some((start, "a namespace has no name".to_owned(), CURE.to_owned())),
            Some((None, at)) => Some((at, "name must be a text in quotes".into(), CURE.into())),
            Some((Some(name), at)) => {
                namespace.name = name.to_owned();
                let is_twice = contents.namespaces.iter().any(|other| other.name == name);
                let twice = || (format!("namespace {name:?} is there twice"), TWICE_CURE);
                let fault = shape(name).or_else(|| is_twice.then(twice));
                fault.map(|(cause, cure)| (at, cause, cure.to_owned()))
            }
        };
        if let Some((at, cause, cure)) = problem {
            let problem = Problem::error(self.place(at), cause, cure);
            contents.problems.push(problem);
        }
        self.mention_idle(&namespace, &written, contents);
        contents.namespaces.push(namespace);
    }

    fn option(
        &self,
        option: &Knob<Namespace>,
        value: &Spanned<DeValue<'_>>,
        namespace: &mut Namespace,
    ) -> Result<(), Problem> {
        let (key, place) = (option.key(), self.place(value.span().start));
        match text_for(&option.kind, value.get_ref()) {
            Ok(text) => option.accept(namespace, &text).map_err(|refusal| {
                let cause = format!("{key} {text:?} {}", refusal.cause);
                Problem::error(place, cause, refusal.cure)
            }),
            Err(wanted) => Err(Problem::error(
                place,
                format!("{key} must be {wanted}, not {}", type_name(value.get_ref())),
                format!("write {key} = {}", literal(&option.kind, option.example)),
            )),
        }
    }

    /// Options that were written down and do nothing without a history.
    fn mention_idle(
        &self,
        namespace: &Namespace,
        written: &[(&str, usize)],
        contents: &mut Contents,
    ) {
        if namespace.history_size > 0 {
            return;
        }
        for (name, at) in written {
            let is_idle = match *name {
                "slow" => namespace.slow == namespace::Policy::Resume,
                "recovery" => namespace.recovery != namespace::Recovery::Off,
                name => ["history-ttl", "recover-max", "durable"].contains(&name),
            };
            if is_idle {
                contents.problems.push(Problem::warning(
                    self.place(*at),
                    format!("{} has no effect without a history", name.replace('-', "_")),
                    "set history_size, or leave it out",
                ));
            }
        }
    }
}

/// What is wrong with a namespace's name.
fn shape(name: &str) -> Option<(String, &'static str)> {
    let is_bad = |letter: char| {
        letter == ':' || letter == '#' || letter.is_control() || letter.is_whitespace()
    };
    if name == PERSONAL {
        None
    } else if name.len() > NAME_BYTES_MAX {
        let cause = format!("a namespace's name may have {NAME_BYTES_MAX} bytes");
        Some((cause, "make it shorter: it is part of every channel's name"))
    } else if name.contains(is_bad) {
        let cause = format!("namespace {name:?} has a letter that it may not have");
        Some((
            cause,
            "leave out colons, spaces and #; \"\" is for channels without a namespace, \"#\" for \
             personal ones",
        ))
    } else {
        None
    }
}

fn unknown(word: &str, place: crate::config::Place) -> Problem {
    let names = OPTIONS.iter().map(|option| option.name);
    let named = nearest(word, names.chain(["name"]));
    let meant = named.or_else(|| {
        let all = OPTIONS.iter().flat_map(|option| option.also);
        let also = nearest(word, all.copied())?;
        let option = OPTIONS.iter().find(|option| option.also.contains(&also));
        option.map(|option| option.name)
    });
    let cure = match meant {
        Some(name) => format!("did you mean {}?", name.replace('-', "_")),
        None => "throng help namespaces lists the options".to_owned(),
    };
    Problem::error(
        place,
        format!("unknown option {word:?} of a namespace"),
        cure,
    )
}

const CURE: &str = "write [[namespaces]], name = \"chat\" and options below it";
const TWICE_CURE: &str = "put all options of a namespace into one table";
