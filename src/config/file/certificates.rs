//! `[[tls.certificates]]`: certificates beside the first, each for the names in it.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::{Contents, Source, type_name};
use crate::config::Problem;
use crate::config::suggest::nearest;
use crate::config::tls::CertificateFiles;

/// Each is tried for a client whose name none has. Whoever serves more names has wildcards, or several
/// names in a certificate.
const CERTIFICATES_MAX: usize = 256;

/// The word of `[tls]` that is read here.
pub(super) const WORD: &str = "certificates";

const KNOWN: [&str; 3] = ["cert", "key", "ocsp"];
const CURE: &str = "write [[tls.certificates]], cert = \"chain.pem\" and key = \"key.pem\"";

impl Source<'_> {
    pub(super) fn certificates(&self, value: &Spanned<DeValue<'_>>, contents: &mut Contents) {
        let start = self.place(value.span().start);
        let DeValue::Array(entries) = value.get_ref() else {
            let found = type_name(value.get_ref());
            let cause = format!("certificates must be tables, not {found}");
            contents.problems.push(Problem::error(start, cause, CURE));
            return;
        };
        if entries.len() > CERTIFICATES_MAX {
            let cause = format!(
                "there are {} certificates, and there can be {CERTIFICATES_MAX}",
                entries.len()
            );
            let cure = "put several names, or *.example.com, into one";
            contents.problems.push(Problem::error(start, cause, cure));
        }
        for entry in entries.iter().take(CERTIFICATES_MAX) {
            match self.certificate(entry) {
                Ok(files) => contents.certificates.push(files),
                Err(problem) => contents.problems.push(problem),
            }
        }
    }

    fn certificate(&self, entry: &Spanned<DeValue<'_>>) -> Result<CertificateFiles, Problem> {
        let start = self.place(entry.span().start);
        let DeValue::Table(table) = entry.get_ref() else {
            let found = type_name(entry.get_ref());
            let cause = format!("a certificate must be a table, not {found}");
            return Err(Problem::error(start, cause, CURE));
        };
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !KNOWN.contains(&name) {
                let cure = match nearest(name, KNOWN) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("a certificate has {}", KNOWN.join(", ")),
                };
                let place = self.place(key.span().start);
                return Err(Problem::error(place, format!("unknown key {name:?}"), cure));
            }
        }
        let path = |name| -> Result<Option<PathBuf>, Problem> {
            let word = self.word(table, name)?;
            Ok(word.map(|(text, _)| self.beside(&text)))
        };
        let files = CertificateFiles {
            cert: path("cert")?,
            key: path("key")?,
            ocsp: path("ocsp")?,
        };
        match files.cert {
            Some(_) => Ok(files),
            None => Err(Problem::error(start, "a certificate has no cert", CURE)),
        }
    }
}
