//! The keys of `[auth]` that are no knobs: issuer, audience, cookie, key set, and `[[auth.keys]]`.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Contents, Source, type_name};
use crate::config::Problem;
use crate::config::suggest::nearest;
use crate::config::tokens::{Algorithm, KeyEntry, Material, Secret};

/// More keys than anybody rotates; each is tried for a token that names none.
const KEYS_MAX: usize = 16;

/// The words of `[auth]` that are read here.
pub(super) const WORDS: [&str; 5] = ["issuer", "audience", "cookie", "jwks", "keys"];

impl Source<'_> {
    /// One key of `[auth]`, one of [`WORDS`].
    pub(super) fn token_entry(
        &self,
        word: &str,
        value: &Spanned<DeValue<'_>>,
        contents: &mut Contents,
    ) {
        let outcome = match word {
            "keys" => return self.keys(value, contents),
            _ => self.text(word, value),
        };
        let tokens = &mut contents.tokens;
        match (outcome, word) {
            (Ok(text), "issuer") => tokens.issuer = text,
            (Ok(text), "audience") => tokens.audience = text,
            (Ok(text), "jwks") => tokens.jwks = Some(self.beside(&text)),
            (Ok(text), _) if text.bytes().all(is_cookie_letter) => tokens.cookie = text,
            (Ok(text), _) => contents.problems.push(Problem::error(
                self.place(value.span().start),
                format!("{text:?} is no name of a cookie"),
                "write letters, digits, - and _",
            )),
            (Err(problem), _) => contents.problems.push(problem),
        }
    }

    fn keys(&self, value: &Spanned<DeValue<'_>>, contents: &mut Contents) {
        let DeValue::Array(entries) = value.get_ref() else {
            contents.problems.push(Problem::error(
                self.place(value.span().start),
                format!("keys must be tables, not {}", type_name(value.get_ref())),
                KEYS_CURE,
            ));
            return;
        };
        if entries.len() > KEYS_MAX {
            contents.problems.push(Problem::error(
                self.place(value.span().start),
                format!(
                    "there are {} keys, and there can be {KEYS_MAX}",
                    entries.len()
                ),
                "take out those that no living token is signed with",
            ));
        }
        for entry in entries.iter().take(KEYS_MAX) {
            match self.key(entry) {
                Ok(key) => contents.tokens.keys.push(key),
                Err(problem) => contents.problems.push(problem),
            }
        }
    }

    fn key(&self, entry: &Spanned<DeValue<'_>>) -> Result<KeyEntry, Problem> {
        let refuse = |offset, cause: String, cure: &str| {
            Err(Problem::error(self.place(offset), cause, cure))
        };
        let start = entry.span().start;
        let DeValue::Table(table) = entry.get_ref() else {
            let cause = format!("a key must be a table, not {}", type_name(entry.get_ref()));
            return refuse(start, cause, KEYS_CURE);
        };
        const KNOWN: [&str; 4] = ["algorithm", "kid", "secret", "file"];
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !KNOWN.contains(&name) {
                let cure = match nearest(name, KNOWN) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("a key has {}", KNOWN.join(", ")),
                };
                return refuse(key.span().start, format!("unknown key {name:?}"), &cure);
            }
        }
        let Some((name, at)) = self.word(table, "algorithm")? else {
            return refuse(start, "a key has no algorithm".to_owned(), KEYS_CURE);
        };
        let Some(algorithm) = Algorithm::named(&name) else {
            let names = Algorithm::ALL.map(Algorithm::name);
            let cure = format!("accepted: {}", names.join(", "));
            return refuse(at, format!("algorithm {name:?} is not one of them"), &cure);
        };
        let material = match (self.word(table, "secret")?, self.word(table, "file")?) {
            (None, Some((file, _))) => Material::File(self.beside(&file)),
            (Some((_, at)), None) if algorithm != Algorithm::Hs256 => {
                let cause = format!("a key for {name} is no secret");
                return refuse(
                    at,
                    cause,
                    "name the PEM file of its public half: file = \"..\"",
                );
            }
            (Some((secret, at)), None) => match Secret::new(secret.as_bytes()) {
                Some(secret) => Material::Secret(secret),
                None => return refuse(at, SHORT.to_owned(), SHORT_CURE),
            },
            (Some((_, at)), Some(_)) => {
                let cause = "a key has both secret and file".to_owned();
                return refuse(at, cause, "leave one of them out");
            }
            (None, None) => {
                return refuse(
                    start,
                    "a key has neither secret nor file".to_owned(),
                    KEYS_CURE,
                );
            }
        };
        let kid = self.word(table, "kid")?.map(|(kid, _)| kid);
        Ok(KeyEntry {
            algorithm,
            kid,
            material,
        })
    }

    /// A string of a table, and where it stands.
    pub(super) fn word(
        &self,
        table: &DeTable<'_>,
        name: &str,
    ) -> Result<Option<(String, usize)>, Problem> {
        let Some((_, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else {
            return Ok(None);
        };
        let text = self.text(name, value)?;
        Ok(Some((text, value.span().start)))
    }

    /// A string that is not empty. It is not repeated in what is said about it: it may be a secret.
    fn text(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, Problem> {
        let what = match value.get_ref() {
            DeValue::String(text) if text.is_empty() => "empty",
            DeValue::String(text) => return Ok(text.clone().into_owned()),
            other => type_name(other),
        };
        Err(Problem::error(
            self.place(value.span().start),
            format!("{name} must be a text in quotes, not {what}"),
            format!("write {name} = \"..\", or leave it out"),
        ))
    }

    /// A path as it is meant: seen from the file it is written in.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        let folder = Path::new(&*self.name).parent().unwrap_or(Path::new(""));
        folder.join(path)
    }

    /// The same for the value of a knob: a word that is no path stays what it is.
    pub(super) fn seen_from_here(&self, text: String) -> String {
        match text.contains(['/', '.']) && !text.contains('\0') {
            true => self.beside(&text).to_string_lossy().into_owned(),
            false => text,
        }
    }
}

fn is_cookie_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

const KEYS_CURE: &str =
    "write [[auth.keys]], algorithm = \"HS256\" and secret = \"..\" or file = \"..\"";
/// Without the secret, which would be in a log otherwise.
const SHORT: &str = "the secret has fewer than 32 bytes";
const SHORT_CURE: &str = "make one with: openssl rand -hex 32";
