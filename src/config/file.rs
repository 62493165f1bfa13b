//! The configuration file: TOML, one key per knob, every value with its place.
//!
//! ```toml
//! listen = ["127.0.0.1:9000", "unix:/run/throng.sock"]
//! max_message = "4MiB"
//! ping_interval = "25s"
//!
//! [auth]
//! origins = ["https://app.example.com"]
//! ```
//!
//! The parser is asked to go on after a mistake, so that one look at the output is enough to mend
//! the file. Values become text and meet the same checks as flags; only their TOML type is judged
//! here, because `workers = "2"` is a mistake that a flag cannot make.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::knob::{Group, Kind, LIST_ENTRIES_MAX};
use super::knobs::{self, KNOBS};
use super::namespace;
use super::suggest::nearest;
use super::tls::CertificateFiles;
use super::{Knob, Namespace, Place, Problem, Setting, Tokens};

mod certificates;
mod namespaces;
mod tokens;

/// What a file says: its settings, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Contents {
    /// Every value of a known key and a fitting type, in the order of the file.
    pub settings: Vec<Setting>,
    /// What tokens are checked with.
    pub tokens: Tokens,
    /// `[[tls.certificates]]`.
    pub certificates: Vec<CertificateFiles>,
    /// What channels are like.
    pub namespaces: Vec<Namespace>,
    /// Everything else.
    pub problems: Vec<Problem>,
}

/// Reads and parses a file.
pub fn read(path: &Path) -> Contents {
    let name: Rc<str> = path.to_string_lossy().into();
    let refused = |cause: String, cure: &str| Contents {
        problems: vec![Problem::error(Place::File(name.clone()), cause, cure)],
        ..Contents::default()
    };
    let mut bytes = Vec::new();
    let outcome =
        fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = outcome {
        return refused(
            format!("cannot be read: {error}"),
            "check the path and its permissions",
        );
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return refused(
            format!("is larger than {FILE_BYTES_MAX} bytes"),
            "name the configuration file; throng help lists its keys",
        );
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(&name, &text),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]);
            let place = Source::new(&name, &text).place(valid);
            Contents {
                problems: vec![Problem::error(
                    place,
                    "the file is not UTF-8 from here on",
                    "save it as UTF-8",
                )],
                ..Contents::default()
            }
        }
    }
}

/// Parses the text of a file called `name`.
pub fn parse(name: &str, text: &str) -> Contents {
    let source = Source::new(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut contents = Contents::default();
    for error in errors.iter().take(PROBLEMS_MAX) {
        contents.problems.push(Problem::error(
            source.place(error.span().map_or(0, |span| span.start)),
            format!("not TOML: {}", error.message()),
            "write one key = value per line, words and quantities in \"quotes\"",
        ));
    }
    // One mistake often trips the parser twice on its line.
    contents.problems.sort_by_key(|p| p.place.reading_order());
    contents.problems.dedup_by_key(|p| p.place.line());
    let broken_lines: Vec<_> = contents.problems.iter().map(|p| p.place.line()).collect();
    for (key, value) in in_order(table.get_ref()) {
        if contents.problems.len() >= PROBLEMS_MAX {
            break;
        }
        // What the parser made up to get past a broken line is not worth a complaint of its own.
        if !broken_lines.contains(&source.place(key.span().start).line()) {
            source.top_entry(key, value, &mut contents);
        }
    }
    contents
}

type Key<'d> = Spanned<DeString<'d>>;
type Value<'d> = Spanned<DeValue<'d>>;

/// The entries of a table as they are written, not as they are sorted.
fn in_order<'t, 'd>(table: &'t DeTable<'d>) -> Vec<(&'t Key<'d>, &'t Value<'d>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// A file's text, to turn offsets into lines and columns.
struct Source<'t> {
    name: Rc<str>,
    text: &'t str,
}

impl<'t> Source<'t> {
    fn new(name: &str, text: &'t str) -> Self {
        Self {
            name: name.into(),
            text,
        }
    }

    /// Lines and columns from 1; columns count characters, as editors do.
    fn place(&self, offset: usize) -> Place {
        let before = self
            .text
            .get(..offset)
            .unwrap_or(self.text)
            .trim_start_matches('\u{feff}');
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::Spot {
            path: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn top_entry(&self, key: &Key<'_>, value: &Value<'_>, contents: &mut Contents) {
        if key.get_ref() == namespaces::SECTION {
            return self.namespaces(value, contents);
        }
        let section = {
            let mut sections = Group::ALL.into_iter().filter_map(Group::section);
            sections.find(|section| section == key.get_ref())
        };
        match (section, value.get_ref()) {
            (Some(section), DeValue::Table(table)) => {
                for (key, value) in in_order(table) {
                    self.entry(Some(section), key, value, contents);
                }
            }
            _ => self.entry(None, key, value, contents),
        }
    }

    /// One key, of the top or of a section.
    fn entry(
        &self,
        section: Option<&'static str>,
        key: &Key<'_>,
        value: &Value<'_>,
        contents: &mut Contents,
    ) {
        let name: &str = key.get_ref();
        if section == Some("auth") && tokens::WORDS.contains(&name) {
            return self.token_entry(name, value, contents);
        }
        if section == Some("tls") && name == certificates::WORD {
            return self.certificates(value, contents);
        }
        let is_here = |knob: &&Knob| knob.key() == name && knob.group.section() == section;
        let Some(knob) = KNOBS.iter().find(is_here) else {
            let place = self.place(key.span().start);
            let is_elsewhere = |knob: &&Knob| knob.key() == name || knob.is_called(name);
            let problem = match KNOBS.iter().find(is_elsewhere) {
                Some(knob) => misplaced(knob, name, place),
                None => unknown(name, place, value.get_ref()),
            };
            contents.problems.push(problem);
            return;
        };
        match value.get_ref() {
            DeValue::Array(items) if knob.is_list() && items.is_empty() => {
                contents.problems.push(Problem::error(
                    self.place(value.span().start),
                    format!("{name} is empty"),
                    format!("name at least one, as {name} = \"{}\"", knob.example),
                ));
            }
            DeValue::Array(items) if knob.is_list() => {
                // The one too many is refused at its place by the knob itself.
                for item in items.iter().take(LIST_ENTRIES_MAX + 1) {
                    self.value(knob, item, contents);
                }
            }
            _ => self.value(knob, value, contents),
        }
    }

    fn value(&self, knob: &'static Knob, value: &Spanned<DeValue<'_>>, contents: &mut Contents) {
        let place = self.place(value.span().start);
        let (key, value) = (knob.key(), value.get_ref());
        match text_for(&knob.kind, value) {
            Ok(text) => {
                let text = match knob.kind {
                    Kind::PathOrWord(_) if is_seen_from_file(knob) => self.seen_from_here(text),
                    _ => text,
                };
                contents.settings.push(Setting { knob, text, place });
            }
            Err(wanted) => contents.problems.push(Problem::error(
                place,
                format!("{key} must be {wanted}, not {}", type_name(value)),
                format!("write {key} = {}", literal(&knob.kind, knob.example)),
            )),
        }
    }
}

/// Whether a path is meant from where the file is, and not from where the server was started.
fn is_seen_from_file(knob: &Knob) -> bool {
    matches!(knob.group, Group::Tls | Group::History)
}

/// A key that is known, elsewhere.
fn misplaced(knob: &Knob, written: &str, place: Place) -> Problem {
    let key = knob.key();
    let (cause, cure) = match knob.group.section() {
        Some(section) if written != key => (
            format!("{written} is called {key}, and stands in [{section}]"),
            format!("write {}", knob.line(&literal(&knob.kind, knob.example))),
        ),
        Some(section) => (
            format!("{key} stands outside of [{section}]"),
            format!(
                "write [{section}] on a line before {key} = .., below all keys without a section"
            ),
        ),
        None => (
            format!("{key} stands in a section"),
            "write it at the top of the file, above all sections".to_owned(),
        ),
    };
    Problem::error(place, cause, cure)
}

fn unknown(key: &str, place: Place, value: &DeValue<'_>) -> Problem {
    if value.is_table() {
        return Problem::error(
            place,
            format!("unknown section {key:?}"),
            "the sections are [tls], [auth], [limits], [history] and [[namespaces]]; every other key \
             stands at the top",
        );
    }
    let cure = match suggestion(key) {
        _ if namespace::find(&key.replace('_', "-")).is_some() => {
            "it is an option of a namespace: write [[namespaces]] and a name above it".to_owned()
        }
        Some(knob) => match knob.group.section() {
            Some(section) => format!("did you mean {} in [{section}]?", knob.key()),
            None => format!("did you mean {}?", knob.key()),
        },
        None => "throng serve --help lists the keys".to_owned(),
    };
    Problem::error(place, format!("unknown key {key:?}"), cure)
}

/// The knob a mistyped or foreign name probably stands for.
pub fn suggestion(typed: &str) -> Option<&'static Knob> {
    let named = nearest(typed, KNOBS.iter().map(|knob| knob.name)).and_then(knobs::find);
    named.or_else(|| {
        let word = nearest(
            typed,
            KNOBS.iter().flat_map(|knob| knob.also.iter().copied()),
        )?;
        KNOBS.iter().find(|knob| knob.also.contains(&word))
    })
}

/// The value as a flag would carry it, or the type that was wanted.
fn text_for<C>(kind: &Kind<C>, value: &DeValue<'_>) -> Result<String, &'static str> {
    match (kind, value) {
        (
            Kind::Bytes(_) | Kind::Duration(_) | Kind::Count(_) | Kind::CountOrAuto(_),
            DeValue::Integer(number),
        ) if number.radix() == 10 => Ok(number.as_str().trim_start_matches('+').to_owned()),
        (
            Kind::Bytes(_)
            | Kind::Duration(_)
            | Kind::Choice(_)
            | Kind::Endpoints(_)
            | Kind::Origins(_)
            | Kind::Sources(_)
            | Kind::EndpointOrOff(_)
            | Kind::PathOrWord(_),
            DeValue::String(text),
        ) => Ok(text.clone().into_owned()),
        // Only words: a quoted number is a mistake that is better seen than guessed at.
        (Kind::CountOrAuto(_) | Kind::Switch(_), DeValue::String(text))
            if !text.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            Ok(text.clone().into_owned())
        }
        (Kind::Switch(_), DeValue::Boolean(is_on)) => Ok(is_on.to_string()),
        (Kind::EndpointOrOff(_), DeValue::Boolean(false)) => Ok("off".to_owned()),
        _ => Err(match kind {
            Kind::Bytes(_) => "a quantity such as \"64KiB\" or a number of bytes",
            Kind::Duration(_) => "a time such as \"25s\" or a number of seconds",
            Kind::Count(_) => "a decimal number",
            Kind::CountOrAuto(_) => "a decimal number or \"auto\"",
            Kind::Switch(_) => "true or false",
            Kind::Choice(_) => "a word in quotes",
            Kind::Endpoints(_) => "an address in quotes or a list of them",
            Kind::Origins(_) => "an origin in quotes or a list of them",
            Kind::Sources(_) => "a network in quotes or a list of them",
            Kind::EndpointOrOff(_) => "an address in quotes or \"off\"",
            Kind::PathOrWord(_) => "a path in quotes",
        }),
    }
}

/// `text` as it is written in the file.
pub fn literal<C>(kind: &Kind<C>, text: &str) -> String {
    match kind {
        Kind::Count(_) => text.to_owned(),
        Kind::CountOrAuto(_) if text.starts_with(|c: char| c.is_ascii_digit()) => text.to_owned(),
        Kind::Switch(_) => (text == "on").to_string(),
        _ => format!("\"{text}\""),
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer of this form",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// A configuration is a page of text; whoever names a log file by mistake is told so.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// Enough to mend a file by; a file that is no TOML at all has thousands, and each costs a walk
/// through the text to find its line.
const PROBLEMS_MAX: usize = 50;

#[cfg(test)]
mod tests;
