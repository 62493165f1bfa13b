//! How long certificates hold, in words, and whom to tell in time.

use std::path::{Path, PathBuf};

use crate::tls::certificates::{Facts, Standing};

/// Said again after so long, while it stays true.
const AGAIN_AFTER_S: u64 = 24 * 3600;

/// What was said about certificates, so that it is said once a day and not once a minute.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    said: Vec<(PathBuf, &'static str, u64)>,
}

impl Warnings {
    /// What is to be said now about these certificates.
    pub(super) fn due(&mut self, shown: &[(PathBuf, Facts)], now_s: u64) -> Vec<String> {
        let found = shown.iter().filter_map(|(path, facts)| {
            let (kind, line) = warning(path, facts, now_s)?;
            self.is_news(path, kind, now_s).then_some(line)
        });
        found.collect()
    }

    /// Whether that was not said about this file within a day. Now it is.
    pub(super) fn is_news(&mut self, path: &Path, kind: &'static str, now_s: u64) -> bool {
        self.said
            .retain(|(_, _, at_s)| now_s.saturating_sub(*at_s) < AGAIN_AFTER_S);
        let is_known = |(known, said, _): &(PathBuf, &str, u64)| known == path && *said == kind;
        let is_news = !self.said.iter().any(is_known);
        if is_news {
            self.said.push((path.to_owned(), kind, now_s));
        }
        is_news
    }
}

/// What is wrong with a certificate, or will be soon.
fn warning(path: &Path, facts: &Facts, now_s: u64) -> Option<(&'static str, String)> {
    let name = path.display();
    let (kind, text) = match facts.standing(now_s) {
        Standing::Valid(_) => return None,
        Standing::Expiring(left_s) => (
            "expiring",
            format!("expires in {}: put its successor there", span(left_s)),
        ),
        Standing::Expired(since_s) => (
            "expired",
            format!(
                "expired {} ago: clients refuse it. Put another one there",
                span(since_s)
            ),
        ),
        Standing::NotYet(until_s) => (
            "early",
            format!(
                "holds in {} only: is this machine's clock right?",
                span(until_s)
            ),
        ),
    };
    Some((kind, format!("the certificate in {name} {text}")))
}

/// Whom certificates are for and until when, for the start-up report.
pub(super) fn summary(shown: &[(PathBuf, Facts)], now_s: u64) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in shown.iter().flat_map(|(_, facts)| &facts.names) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut text = match names.len() {
        0 => "no name".to_owned(),
        count if count > NAMES_MAX => {
            let more = count - NAMES_MAX;
            format!("{} and {more} more", names[..NAMES_MAX].join(", "))
        }
        _ => names.join(", "),
    };
    let first = shown.iter().map(|(_, facts)| facts.not_after_s).min();
    if let Some(not_after_s) = first {
        text.push_str(&match not_after_s.saturating_sub(now_s) {
            0 => "; EXPIRED".to_owned(),
            left_s => format!("; good for {}", span(left_s)),
        });
    }
    text
}

/// A time in the largest unit that says something.
fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Names that fit a line of the report.
const NAMES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 86_400;

    fn shown(name: &str, not_after_s: u64) -> (PathBuf, Facts) {
        let facts = Facts {
            names: vec![name.to_owned(), "localhost".to_owned()],
            not_before_s: 1_000_000,
            not_after_s,
            ..Facts::default()
        };
        (PathBuf::from(format!("/{name}.pem")), facts)
    }

    #[test]
    fn a_warning_comes_in_time_and_once_a_day() {
        let end_s = 1_000_000 + 365 * DAY_S;
        let shown = [shown("a", end_s)];
        let mut warnings = Warnings::default();
        assert_eq!(warnings.due(&shown, end_s - 15 * DAY_S), [""; 0]);
        let early_s = end_s - 13 * DAY_S;
        assert_eq!(
            warnings.due(&shown, early_s),
            ["the certificate in /a.pem expires in 13 days: put its successor there"]
        );
        assert_eq!(warnings.due(&shown, early_s + 60), [""; 0]);
        assert_eq!(warnings.due(&shown, early_s + DAY_S).len(), 1);
        let said = warnings.due(&shown, end_s + 90);
        assert_eq!(
            said,
            [
                "the certificate in /a.pem expired 90 seconds ago: clients refuse it. Put another one there"
            ]
        );
        let said = Warnings::default().due(&shown, 1_000_000 - 3 * 3600);
        assert!(said[0].contains("holds in 3 hours only"), "{said:?}");
    }

    #[test]
    fn the_summary_says_for_whom_and_how_long() {
        let two = [shown("a", 40 * DAY_S), shown("b", 30 * DAY_S)];
        assert_eq!(summary(&two, 0), "a, localhost, b; good for 30 days");
        assert_eq!(summary(&two, 31 * DAY_S), "a, localhost, b; EXPIRED");
        let many: Vec<_> = ["a", "b", "c", "d", "e"]
            .map(|name| shown(name, DAY_S))
            .into();
        assert_eq!(
            summary(&many, 0),
            "a, localhost, b, c and 2 more; good for 24 hours"
        );
        let nameless = [(PathBuf::new(), Facts::default())];
        assert!(summary(&nameless, 0).starts_with("no name"));
    }
}
