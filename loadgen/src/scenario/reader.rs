//! Reads tables of a TOML file and says where in the file something is wrong.

use std::fmt;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::units::UnitError;

/// What is wrong with a scenario file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// File name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl std::error::Error for ScenarioError {}

/// The file that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> ScenarioError {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        ScenarioError {
            file: self.file.to_owned(),
            line,
            message: message.into(),
        }
    }
}

/// One table; remembers where it stands.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) source: Source<'a>,
    pub(super) table: &'a DeTable<'a>,
    pub(super) at: usize,
}

type Read<T> = Result<T, ScenarioError>;

impl<'a> Reader<'a> {
    /// Refuses keys that nobody reads: a misspelt one would silently be a default.
    pub(super) fn only(&self, known: &[&str]) -> Read<()> {
        let strange = self
            .table
            .iter()
            .find(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        match strange {
            Some((key, _)) => {
                let message = format!(
                    "unknown key `{}`; here are known: {}",
                    key.get_ref(),
                    known.join(", ")
                );
                Err(self.source.error(key.span().start, message))
            }
            None => Ok(()),
        }
    }

    pub(super) fn error_here(&self, message: impl Into<String>) -> ScenarioError {
        self.source.error(self.at, message)
    }

    /// An error at a key's value.
    pub(super) fn error_at(&self, key: &str, message: impl fmt::Display) -> ScenarioError {
        let at = self
            .table
            .get(key)
            .map_or(self.at, |value| value.span().start);
        self.source.error(at, format!("{key}: {message}"))
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Read<Option<&'a str>> {
        self.value(key)
            .map_or(Ok(None), |value| match value.get_ref() {
                DeValue::String(text) => Ok(Some(text.as_ref())),
                _ => Err(self.error_at(key, "is a string in quotes")),
            })
    }

    pub(super) fn flag(&self, key: &str) -> Read<Option<bool>> {
        self.value(key)
            .map_or(Ok(None), |value| match value.get_ref() {
                DeValue::Boolean(flag) => Ok(Some(*flag)),
                _ => Err(self.error_at(key, "is true or false")),
            })
    }

    /// A number or a string with a unit, read by one of the functions of `units`.
    pub(super) fn quantity<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, UnitError>,
    ) -> Read<Option<T>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            _ => return Err(self.error_at(key, "is a number, or a number with a unit in quotes")),
        };
        read(&text)
            .map(Some)
            .map_err(|error| self.error_at(key, format!("`{text}` {error}")))
    }

    pub(super) fn duration(&self, key: &str) -> Read<Option<Duration>> {
        self.quantity(key, crate::units::parse_duration)
    }

    pub(super) fn texts(&self, key: &str) -> Read<Vec<&'a str>> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.error_at(key, "is a list: [\"...\", \"...\"]"));
        };
        let text = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::String(text) => Ok(text.as_ref()),
            _ => Err(self.source.error(
                item.span().start,
                format!("{key}: every entry is a string in quotes"),
            )),
        };
        items.iter().map(text).collect()
    }

    /// One of a fixed set of names.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Read<Option<T>> {
        let Some(name) = self.text(key)? else {
            return Ok(None);
        };
        let found = choices
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, choice)| choice);
        let names = || {
            choices
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        found
            .map(Some)
            .ok_or_else(|| self.error_at(key, format!("`{name}` is none of: {}", names())))
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(&self, key: &str) -> Read<Vec<Self>> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let wrong = || self.error_at(key, format!("is written [[{key}]]"));
        let DeValue::Array(items) = value.get_ref() else {
            return Err(wrong());
        };
        items
            .iter()
            .map(|item| self.sub(item).ok_or_else(wrong))
            .collect()
    }

    /// The table of `[key]`.
    pub(super) fn table(&self, key: &str) -> Read<Option<Self>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        self.sub(value)
            .map(Some)
            .ok_or_else(|| self.error_at(key, "is a table"))
    }

    fn sub(&self, value: &'a Spanned<DeValue<'a>>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Self {
                source: self.source,
                table,
                at: value.span().start,
            }),
            _ => None,
        }
    }
}
