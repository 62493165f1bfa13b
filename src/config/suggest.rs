//! "Did you mean": the known word nearest to a mistyped one.

/// The candidate that `typed` most likely stands for, if any is near enough.
///
/// Near is: the same letters apart from `_`, `-` and case; at most a third of the letters wrong;
/// or an abbreviation (`max-msg`), that is all letters present in order.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = normal(typed);
    // A huge key would cost a huge table below, and nothing so long is a typing error.
    if typed.is_empty() || typed.len() > WORD_BYTES_MAX {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| Some((cost(&typed, &normal(candidate))?, candidate)))
        .min_by_key(|(cost, candidate)| (*cost, candidate.len()))
        .map(|(_, candidate)| candidate)
}

/// How far apart two words are, `None` if they are not alike at all.
fn cost(typed: &str, candidate: &str) -> Option<usize> {
    let wrong = distance(typed.as_bytes(), candidate.as_bytes());
    let longer = typed.len().max(candidate.len());
    if wrong <= longer / 3 {
        Some(wrong)
    } else if typed.len() >= ABBREVIATION_BYTES_MIN && is_abbreviation(typed, candidate) {
        // Behind every true near miss.
        Some(longer)
    } else {
        None
    }
}

fn normal(word: &str) -> String {
    word.to_ascii_lowercase().replace('_', "-")
}

fn is_abbreviation(short: &str, long: &str) -> bool {
    let mut rest = long.bytes();
    short.as_bytes().first() == long.as_bytes().first()
        && short
            .bytes()
            .all(|letter| rest.any(|other| other == letter))
}

/// Letters to insert, drop, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Longer words are not typing errors; the table of `distance` stays at 64 x a knob's name.
const WORD_BYTES_MAX: usize = 64;
/// Two letters abbreviate too many things.
const ABBREVIATION_BYTES_MIN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 5] = ["max-message", "max-head", "workers", "listen", "queue-max"];

    #[test]
    fn near_misses_are_recognised() {
        for (typed, meant) in [
            ("max_message", "max-message"),
            ("Max-Mesage", "max-message"),
            ("max-msg", "max-message"),
            ("wrokers", "workers"),
            ("lisen", "listen"),
            ("queue-mx", "queue-max"),
        ] {
            assert_eq!(nearest(typed, WORDS), Some(meant), "{typed}");
        }
    }

    #[test]
    fn strangers_are_not() {
        for typed in ["", "x", "colour", "qm", &"w".repeat(1000)] {
            assert_eq!(nearest(typed, WORDS), None, "{typed}");
        }
    }

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), edits, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), edits, "{b} {a}");
        }
    }
}
