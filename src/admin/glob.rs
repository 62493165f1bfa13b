//! Patterns for channel names: `chat:*`, `room-?`.
//!
//! `*` is any number of characters, `?` is one, and a backslash takes the meaning from the next. That
//! is the part of shell patterns that everybody knows. Sets and alternatives are refused rather than
//! taken literally, so that nobody who knows them elsewhere gets an empty answer.

/// A pattern that is well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    steps: Box<[Step]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Exactly(char),
    Any,
    Many,
}

/// Sets, alternatives, or a backslash at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPattern;

impl Glob {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Result<Self, BadPattern> {
        let mut steps = Vec::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            let step = match letter {
                // Two in a row say no more than one, and would cost twice.
                '*' if steps.last() == Some(&Step::Many) => continue,
                '*' => Step::Many,
                '?' => Step::Any,
                '\\' => Step::Exactly(letters.next().ok_or(BadPattern)?),
                '[' | ']' | '{' | '}' => return Err(BadPattern),
                plain => Step::Exactly(plain),
            };
            steps.push(step);
        }
        Ok(Self {
            steps: steps.into(),
        })
    }

    /// Whether all of `name` fits.
    ///
    /// Only the last `*` is ever tried again, which is enough and makes it quadratic at worst: whoever
    /// writes `*a*a*a*a` does not hold a worker with it.
    pub fn matches(&self, name: &str) -> bool {
        let (mut at, mut rest) = (0, name);
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let mut letters = rest.chars();
            let letter = letters.next();
            match (self.steps.get(at), letter) {
                (None, None) => return true,
                (Some(Step::Many), _) => {
                    at += 1;
                    retry = Some((at, rest));
                }
                (Some(Step::Any), Some(_)) => {
                    at += 1;
                    rest = letters.as_str();
                }
                (Some(Step::Exactly(wanted)), Some(letter)) if *wanted == letter => {
                    at += 1;
                    rest = letters.as_str();
                }
                _ => {
                    // The last `*` takes one character more.
                    let Some((after, from)) = retry else {
                        return false;
                    };
                    let mut letters = from.chars();
                    if letters.next().is_none() {
                        return false;
                    }
                    at = after;
                    rest = letters.as_str();
                    retry = Some((after, rest));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_fit_as_they_do_in_a_shell() {
        let table = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("chat:*", "chat:", true),
            ("chat:*", "chat:room1", true),
            ("chat:*", "news:room1", false),
            ("room-?", "room-1", true),
            ("room-?", "room-", false),
            ("room-?", "room-12", false),
            ("*:größe?", "räume:größe1", true),
            ("*a*b", "xxaxxbxb", true),
            ("*a*b", "xxaxxbxc", false),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("**?**", "", false),
            ("**?**", "x", true),
        ];
        for (pattern, name, fits) in table {
            let glob = Glob::new(pattern).expect(pattern);
            assert_eq!(glob.matches(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_not_known_here_is_refused() {
        for pattern in ["[ab]", "{a,b}", "a]", "a}", "\\"] {
            assert_eq!(Glob::new(pattern), Err(BadPattern), "{pattern}");
        }
    }

    /// By trying everything, which is what a reader would write first.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['*', rest @ ..] => (0..=name.len()).any(|skip| naive(rest, &name[skip..])),
            ['?', rest @ ..] => !name.is_empty() && naive(rest, &name[1..]),
            [letter, rest @ ..] => name.first() == Some(letter) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn quick_is_naive(pattern in "[ab?*]{0,8}", name in "[ab]{0,8}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            let glob = Glob::new(&pattern).expect("nothing in it is refused");
            prop_assert_eq!(glob.matches(&name), naive(&letters(&pattern), &letters(&name)));
        }
    }
}
