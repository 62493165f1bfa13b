//! Just enough of Rust to tell code from comments and strings, and a path from a word.

/// One file, taken apart.
pub(super) struct Source {
    /// Relative to the root of the repository, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// The code without comments; a string or character literal is one token, `""`.
    pub(super) tokens: Vec<Token>,
    /// `//` comments that are not documentation, trimmed, with their lines.
    pub(super) comments: Vec<(usize, String)>,
}

/// A word, a number, a literal, `::`, or any other single character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    pub(super) fn is_word(&self) -> bool {
        self.text
            .starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
    }
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let mut lexer = Lexer {
            rest: text,
            line: 1,
            tokens: Vec::new(),
            comments: Vec::new(),
        };
        while !lexer.rest.is_empty() {
            lexer.step();
        }
        let (tokens, comments) = (lexer.tokens, lexer.comments);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens,
            comments,
        }
    }

    pub(super) fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// What runs in production: the library, its binary and the load generator, without their tests.
    pub(super) fn is_product(&self) -> bool {
        !self.is_test() && (self.is_under("src/") || self.is_under("loadgen/src/"))
    }

    pub(super) fn is_test(&self) -> bool {
        self.is_under("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The top-level module the file belongs to, `lib`, `main` or `loadgen`.
    pub(super) fn module(&self) -> Option<&str> {
        if self.is_under("loadgen/src/") {
            return Some("loadgen");
        }
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// How many `super`s lead from the file's module to the root of its crate.
    pub(super) fn depth(&self) -> usize {
        let inner = self.path.split_once("src/").map_or("", |(_, inner)| inner);
        let is_folder = inner.ends_with("/mod.rs");
        inner.split('/').count() - usize::from(is_folder)
    }

    /// Every path in the code (`a::b`), with the trees of `use` written out.
    pub(super) fn paths(&self) -> impl Iterator<Item = (usize, Vec<String>)> {
        let (mut paths, mut at) = (Vec::new(), 0);
        while at < self.tokens.len() {
            if self.tokens[at].is_word() {
                self.tree(&mut at, &[], &mut paths);
            } else {
                at += 1;
            }
        }
        paths.into_iter()
    }

    /// Every attribute, from its `#` to its `]`.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &[Token]> {
        let starts = self
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.text == "#");
        starts.filter_map(|(start, _)| {
            let tokens = &self.tokens[start..];
            let open = 1 + usize::from(tokens.get(1)?.text == "!");
            let mut depth = 0;
            let end = tokens.iter().skip(open).position(|token| {
                depth += i32::from(token.text == "[") - i32::from(token.text == "]");
                depth == 0
            })?;
            Some(&tokens[..=open + end])
        })
    }

    /// Reads one path or tree from `at`, behind the segments in `prefix`.
    fn tree(&self, at: &mut usize, prefix: &[String], paths: &mut Vec<(usize, Vec<String>)>) {
        let (mut path, mut line) = (prefix.to_vec(), 0);
        while let Some(token) = self.tokens.get(*at) {
            if token.text == "{" && path.len() > prefix.len() {
                return self.branches(at, &path, paths);
            }
            if !token.is_word() {
                break;
            }
            (line, *at) = (token.line, *at + 1);
            path.push(token.text.clone());
            let is_last = self.tokens.get(*at).is_none_or(|next| next.text != "::");
            // `use ::a` is a path from nowhere, not one that begins with `use`.
            if is_last || token.text == "use" {
                break;
            }
            *at += 1;
        }
        paths.push((line, path));
    }

    /// Reads what stands between the braces of a `use` tree.
    fn branches(&self, at: &mut usize, path: &[String], paths: &mut Vec<(usize, Vec<String>)>) {
        *at += 1;
        while let Some(token) = self.tokens.get(*at) {
            match token.text.as_str() {
                "}" => return *at += 1,
                // The new name in `x as y` is no path of ours.
                "as" => *at += 2,
                _ if token.is_word() => self.tree(at, path, paths),
                _ => *at += 1,
            }
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
    comments: Vec<(usize, String)>,
}

impl Lexer<'_> {
    /// Takes one token, comment or blank off the rest.
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            if !rest.starts_with("///") && !rest.starts_with("//!") {
                self.comments
                    .push((self.line, rest[2..length].trim().to_owned()));
            }
            self.skip(length);
        } else if rest.starts_with("/*") {
            self.skip(block_comment(rest));
        } else if let Some(length) = literal(rest) {
            self.push("\"\"", length);
        } else if rest.starts_with("::") {
            self.push("::", 2);
        } else {
            let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let length = word.unwrap_or(rest.len()).max(first);
            if rest.starts_with(char::is_whitespace) {
                self.skip(first);
            } else {
                self.push(&rest[..length], length);
            }
        }
    }

    fn push(&mut self, text: &str, length: usize) {
        self.tokens.push(Token {
            text: text.to_owned(),
            line: self.line,
        });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of the block comment `text` begins with; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let step = text.get(at..at + 2);
        match step {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string or character literal `text` begins with, if it does.
fn literal(text: &str) -> Option<usize> {
    let prefix = text.find(|letter| !['b', 'c', 'r'].contains(&letter))?;
    let (marks, body) = text.split_at(prefix);
    if marks.len() > 2 {
        return None;
    }
    let hashes = body.len() - body.trim_start_matches('#').len();
    if marks.ends_with('r') && body[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = prefix + hashes + 1;
        return Some(
            text[start..]
                .find(&end)
                .map_or(text.len(), |at| start + at + end.len()),
        );
    }
    if body.starts_with('"') && !marks.ends_with('r') {
        return Some(prefix + quoted(body, b'"'));
    }
    // `'a'` and `'\n'` are characters, `'a` alone is a lifetime.
    let mut letters = body.strip_prefix('\'')?.chars();
    let is_character = letters.next()? == '\\' || letters.next() == Some('\'');
    is_character.then(|| prefix + quoted(body, b'\''))
}

/// The length of what stands between two `quote`s, both included.
fn quoted(text: &str, quote: u8) -> usize {
    let (bytes, mut at) = (text.as_bytes(), 1);
    while at < bytes.len() && bytes[at] != quote {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    (at + 1).min(bytes.len())
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r###"a /* b /* c */ d */ "e \" f" 'g' '\'' b"h" r#"i " j"# 'life k::l // m
    n"###;
    let words: Vec<_> = Source::new("", text)
        .tokens
        .into_iter()
        .map(|token| token.text)
        .collect();
    assert_eq!(
        words,
        [
            "a", "\"\"", "\"\"", "\"\"", "\"\"", "\"\"", "'", "life", "k", "::", "l", "n"
        ]
    );
    let source = Source::new("", text);
    assert_eq!(source.comments, [(1, "m".to_owned())]);
    assert_eq!(source.tokens.last().unwrap().line, 2);
}

#[test]
fn trees_are_written_out() {
    let text = "use a::{b, c::{d as e, self}, f::*}; g(h::<i::J>()); use ::k::l;";
    let paths: Vec<_> = Source::new("", text)
        .paths()
        .map(|(_, path)| path.join(" "))
        .collect();
    assert_eq!(
        paths,
        [
            "use", "a b", "a c d", "a c self", "a f", "g", "h", "i J", "use", "k l"
        ]
    );
}

#[test]
fn files_know_where_they_stand() {
    let table = [
        ("src/limits.rs", Some("limits"), 1),
        ("src/ws/mod.rs", Some("ws"), 1),
        ("src/ws/frame.rs", Some("ws"), 2),
        ("src/ws/frame/tests.rs", Some("ws"), 3),
        ("loadgen/src/plan.rs", Some("loadgen"), 1),
        ("examples/embed.rs", None, 1),
    ];
    for (path, module, depth) in table {
        let source = Source::new(path, "");
        assert_eq!((source.module(), source.depth()), (module, depth), "{path}");
    }
}
