//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::rc::Rc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The server does not start with this.
    Error,
    /// It starts, but something written has no effect or an unlikely one.
    Warning,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the built-in value.
    Default,
    /// On the command line.
    CommandLine,
    /// In a file as a whole (it cannot be read).
    File(Rc<str>),
    /// At one spot of a file; line and column count from 1, columns in characters.
    Spot {
        /// The file as it was named to us.
        path: Rc<str>,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
}

/// One thing that is wrong: cause, place and cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it was written.
    pub place: Place,
    /// The cause, in one sentence without a full stop.
    pub cause: String,
    /// What to write or do instead.
    pub cure: String,
}

impl Place {
    /// The line, if it is one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Spot { line, .. } => Some(*line),
            Self::Default | Self::CommandLine | Self::File(_) => None,
        }
    }

    /// Sorts problems as one reads: the command line, then the file from its top.
    pub fn reading_order(&self) -> (usize, usize) {
        match self {
            Self::Default | Self::CommandLine | Self::File(_) => (0, 0),
            Self::Spot { line, column, .. } => (*line, *column),
        }
    }
}

impl Problem {
    /// Something the server cannot start with.
    pub fn error(place: Place, cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place,
            cause: cause.into(),
            cure: cure.into(),
        }
    }

    /// Something the operator surely did not mean.
    pub fn warning(place: Place, cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, cause, cure)
        }
    }

    /// Whether it keeps the server from starting.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The problem as one JSON object.
    pub fn to_json(&self) -> String {
        let (file, line, column) = match &self.place {
            Place::Default | Place::CommandLine => (None, 0, 0),
            Place::File(path) => (Some(path), 0, 0),
            Place::Spot { path, line, column } => (Some(path), *line, *column),
        };
        let number = |n: usize| match n {
            0 => "null".to_owned(),
            n => n.to_string(),
        };
        format!(
            r#"{{"severity":"{}","file":{},"line":{},"column":{},"message":{},"help":{}}}"#,
            self.severity,
            file.map_or_else(|| "null".to_owned(), |path| json_string(path)),
            number(line),
            number(column),
            json_string(&self.cause),
            json_string(&self.cure),
        )
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// `file:line:column:` first, as compilers do, so that editors can jump there.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Default | Place::CommandLine => {}
            Place::File(path) => write!(f, "{path}: ")?,
            Place::Spot { path, line, column } => write!(f, "{path}:{line}:{column}: ")?,
        }
        writeln!(f, "{}: {}", self.severity, self.cause)?;
        write!(f, "  help: {}", self.cure)
    }
}

/// A JSON string literal; JSON is written here once, so it needs no dependency.
pub fn json_string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for c in text.chars() {
        match c {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            c if c.is_control() => literal.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot() -> Place {
        Place::Spot {
            path: "a.toml".into(),
            line: 3,
            column: 7,
        }
    }

    #[test]
    fn text_begins_like_a_compilers() {
        let problem = Problem::error(spot(), "workers is 0", "write 1 or more");
        assert_eq!(
            problem.to_string(),
            "a.toml:3:7: error: workers is 0\n  help: write 1 or more"
        );
        let problem = Problem::warning(Place::CommandLine, "a", "b");
        assert_eq!(problem.to_string(), "warning: a\n  help: b");
    }

    #[test]
    fn json_is_escaped() {
        let problem = Problem::error(spot(), "\"x\\\n\u{7}", "é");
        assert_eq!(
            problem.to_json(),
            r#"{"severity":"error","file":"a.toml","line":3,"column":7,"message":"\"x\\\n\u0007","help":"é"}"#
        );
        let problem = Problem::warning(Place::CommandLine, "a", "b");
        assert!(
            problem
                .to_json()
                .contains(r#""file":null,"line":null,"column":null"#)
        );
    }
}
