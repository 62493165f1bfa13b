//! Words sorted into flags and the rest.

use std::path::PathBuf;

use super::flags::{FLAGS, Flag};
use super::{CliError, Verb};
use crate::units::UnitError;

/// The words of one command.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    values: Vec<(&'static str, String)>,
    /// Words that are no flags.
    pub(super) positional: Vec<String>,
}

impl Arguments {
    pub(super) fn parse(verb: Verb, words: &[String]) -> Result<Self, CliError> {
        let mut arguments = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if !word.starts_with("--") {
                arguments.positional.push(word.clone());
                continue;
            }
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let flag = known(verb, name)?;
            let value = match (flag.value, attached) {
                ("", None) => String::new(),
                ("", Some(_)) => return Err(CliError(format!("{name} takes no value"))),
                (_, Some(value)) => value,
                (expected, None) => words
                    .next()
                    .cloned()
                    .ok_or_else(|| CliError(format!("{name} needs a value: {name} {expected}")))?,
            };
            if !flag.many && arguments.has(flag.name) {
                return Err(CliError(format!("{name} stands twice")));
            }
            arguments.values.push((flag.name, value));
        }
        Ok(arguments)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(flag, _)| *flag == name)
    }

    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(move |(flag, _)| *flag == name)
            .map(|(_, value)| value.as_str())
    }

    /// A value read by one of the functions of `units`.
    pub(super) fn quantity<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, UnitError>,
    ) -> Result<Option<T>, CliError> {
        let read =
            |text: &str| read(text).map_err(|error| CliError(format!("{name}: `{text}` {error}")));
        self.one(name).map(read).transpose()
    }

    /// One of a fixed set of names.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, CliError> {
        let Some(value) = self.one(name) else {
            return Ok(None);
        };
        let found = choices
            .iter()
            .find(|(known, _)| *known == value)
            .map(|&(_, choice)| choice);
        found.map(Some).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            CliError(format!("{name}: `{value}` is none of {}", names.join(", ")))
        })
    }

    pub(super) fn seed(&self) -> Result<Option<u64>, CliError> {
        let read = |text: &str| {
            text.parse()
                .map_err(|_| CliError(format!("--seed: `{text}` is no whole number")))
        };
        self.one("--seed").map(read).transpose()
    }

    /// Exactly so many paths.
    pub(super) fn paths<const N: usize>(&self, expected: &str) -> Result<[PathBuf; N], CliError> {
        let paths: Vec<PathBuf> = self.positional.iter().map(PathBuf::from).collect();
        paths
            .try_into()
            .map_err(|_| CliError(format!("expected {expected}")))
    }
}

fn known(verb: Verb, name: &str) -> Result<&'static Flag, CliError> {
    let mine = || FLAGS.iter().filter(move |flag| flag.verbs.contains(&verb));
    if let Some(flag) = mine().find(|flag| flag.name == name) {
        return Ok(flag);
    }
    if FLAGS.iter().any(|flag| flag.name == name) {
        let verbs = Verb::ALL.iter().filter(|(_, v)| {
            FLAGS
                .iter()
                .any(|flag| flag.name == name && flag.verbs.contains(v))
        });
        let names: Vec<&str> = verbs.map(|(verb, _)| *verb).collect();
        return Err(CliError(format!("{name} belongs to {}", names.join(", "))));
    }
    let nearest = mine()
        .min_by_key(|flag| distance(flag.name, name))
        .filter(|flag| distance(flag.name, name) <= 3);
    let hint = nearest.map_or_else(
        || "see --help".to_owned(),
        |flag| format!("did you mean {}?", flag.name),
    );
    Err(CliError(format!("there is no {name}; {hint}")))
}

/// Letters to change, add or drop to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
