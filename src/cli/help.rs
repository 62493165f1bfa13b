//! The help texts. What can be said about a knob is said in its table entry; this lays it out.

use std::fmt::Write;

use crate::config::file::literal;
use crate::config::knob::Group;
use crate::config::knobs::KNOBS;
use crate::config::namespace::OPTIONS;
use crate::config::{Config, Knob, Namespace};

/// `throng help`: the commands and where to read on.
pub fn overview() -> String {
    format!(
        "\
throng {version}: a WebSocket edge server

Usage:
  throng [serve] [--config FILE] [FLAGS]   run the server (the default command)
  throng check-config FILE                 say what is wrong with a configuration file
  throng doctor [--connections N]          say which limit of the machine stops N connections
  throng tune [--connections N] [--apply]  print or set what N connections need; --undo
  throng dev-cert [--out DIR]              make a certificate for development
  throng token --user NAME                 sign a token for a user
  throng help [COMMAND|FLAG]               more about a command or one flag
  throng help namespaces                   what channels can be like
  throng version                           print the version

Examples:
  throng                                   a page at http://127.0.0.1:9000/, and channels behind it
  throng --listen :9000 --workers 2        reachable from elsewhere, two event loops
  throng --config throng.toml --app echo   flags win over the file
  throng check-config throng.toml          file:line:column of every problem
  throng doctor --connections 1M           \"you will stop at 262 144: connection tracking\"
  throng help max-message                  what a flag protects, and what it costs

Read on:
  throng serve --help                      every flag
{EXIT_CODES}",
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// `throng serve --help`: every flag under its heading.
pub fn serve() -> String {
    let mut text = String::from(
        "\
Usage: throng [serve] [--config FILE] [FLAGS]

Runs the server until SIGTERM or SIGINT. The first signal drains it, a second one ends it at once.

Each flag has a key in the file: --max-message 1MiB is max_message = \"1MiB\". Flags win over the
file, the file over the defaults. Keys of TLS stand in [tls] of the file (cert is --tls-cert), those
of Access in [auth], those of Admission, of one client and of slow subscribers in [limits], those of
History in [history] (dir is --history-dir). What channels are like is in the file only: throng help
namespaces. Sizes: 4096, 64KiB, 16MiB. Times: 500ms, 25s, 2m. A flag given twice counts once, the
last time; lists such as --listen add up.

  --config FILE               Read this TOML file
  --help, -h                  Print this text
",
    );
    let defaults = Config::default();
    for group in Group::ALL {
        let _ = write!(text, "\n{}:\n", group.title());
        for knob in KNOBS.iter().filter(|knob| knob.group == group) {
            text.push_str(&entry(&knob.flag(), knob, &defaults));
        }
    }
    text.push_str(
        "
Examples:
  throng --listen 127.0.0.1:9000 --listen unix:/run/throng.sock
  throng --max-message 16MiB --message-timeout 5m
  throng --ping-interval 0 --deflate off

More about a flag: throng help max-message
",
    );
    text
}

/// `throng check-config --help`.
pub fn check_config() -> String {
    format!(
        "\
Usage: throng check-config [--json] [--strict] FILE

Reads FILE as throng --config FILE would and reports every problem as file:line:column, with what
to write instead. Nothing is started.

  --json                      One JSON object: file, ok, problems
  --strict                    Warnings fail, too
  --help, -h                  Print this text

Example:
  throng check-config throng.toml && systemctl restart throng
{EXIT_CODES}"
    )
}

/// `throng help max-message`: one knob in full.
pub fn knob(knob: &Knob) -> String {
    let flag = format!("\n  flag      {} {}", knob.flag(), knob.example);
    in_full(knob, &knob.flag(), &Config::default(), &flag)
}

/// `throng help history-size`: one option of a namespace in full.
pub fn option(option: &Knob<Namespace>) -> String {
    in_full(option, &option.key(), &Namespace::default(), "")
}

/// `throng help namespaces`: all of them.
pub fn namespaces() -> String {
    let mut text = String::from(
        "\
A channel's namespace is what stands before the first colon of its name. What its channels are like
is written in the file:

  [[namespaces]]
  name = \"chat\"
  history_size = 100
  publish = \"subscribers\"

The name \"\" is that of channels without a namespace, \"#\" that of the personal channels of users.
Channels of a namespace that is not written there do not exist. Without any, an unconfigured server
that only this machine can reach lets everybody do everything; elsewhere the defaults count.

  name NAME                   What stands before the colon
",
    );
    let defaults = Namespace::default();
    for option in OPTIONS {
        text.push_str(&entry(&option.key(), option, &defaults));
    }
    text.push_str("\nMore about an option: throng help history-size\n");
    text
}

fn in_full<C>(knob: &Knob<C>, name: &str, defaults: &C, flag: &str) -> String {
    format!(
        "\
{name} {placeholder}

{brief}

  default   {default}
  accepts   {accepts}{flag}
  file      {line}

{story}
",
        placeholder = knob.placeholder(),
        brief = wrap(&format!("{}.", knob.brief), 0, LINE_CHARS_MAX),
        default = knob.show(defaults),
        accepts = knob.accepts(),
        line = knob.line(&literal(&knob.kind, knob.example)),
        story = wrap(knob.story, 0, LINE_CHARS_MAX),
    )
}

/// One flag in the list: the name left, the line about it right, the default at its end.
fn entry<C>(name: &str, knob: &Knob<C>, defaults: &C) -> String {
    let head = format!("  {name} {}", knob.placeholder());
    // A no-break space keeps the default together on one line.
    let body = format!("{} [default:\u{a0}{}]", knob.brief, knob.show(defaults));
    let body = wrap(&body, COLUMN, LINE_CHARS_MAX).replace('\u{a0}', " ");
    if head.len() + 2 > COLUMN {
        format!("{head}\n{:COLUMN$}{body}\n", "")
    } else {
        format!("{head:COLUMN$}{body}\n")
    }
}

/// Breaks at spaces so that no line exceeds `width`; lines after the first are indented.
fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut wrapped = String::new();
    let mut column = indent;
    for word in text.split([' ', '\n']) {
        let chars = word.chars().count();
        if column > indent && column + 1 + chars > width {
            let _ = write!(wrapped, "\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += chars;
    }
    wrapped
}

/// Where the descriptions begin.
const COLUMN: usize = 30;
/// Fits a terminal that is not maximised.
const LINE_CHARS_MAX: usize = 100;

/// Shared by the help of all commands; the README says the same.
pub(super) const EXIT_CODES: &str = "
Exit codes:
  0   done, or stopped by a signal after draining
  1   could not start or go on: address in use, no permission
  2   the command line or the configuration is wrong
";

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Vec<String> {
        let knobs = KNOBS.iter().map(knob);
        knobs
            .chain(OPTIONS.iter().map(option))
            .chain([
                overview(),
                serve(),
                namespaces(),
                check_config(),
                super::super::dev_cert::help(),
                super::super::token::help(),
            ])
            .collect()
    }

    #[test]
    fn every_knob_has_one_entry_in_the_help() {
        let text = serve();
        for knob in KNOBS {
            let start = format!("  {} ", knob.flag());
            let entries = text.lines().filter(|line| line.starts_with(&start));
            let entries: Vec<_> = entries.filter(|line| !line.contains("throng")).collect();
            assert_eq!(entries.len(), 1, "{}", knob.name);
            assert!(text.contains(&format!("[default: {}]", knob.show(&Config::default()))));
        }
    }

    #[test]
    fn groups_keep_the_order_of_the_table() {
        let positions: Vec<_> = KNOBS.iter().map(|knob| knob.group as usize).collect();
        assert!(positions.is_sorted(), "the table is sorted by heading");
    }

    #[test]
    fn lines_fit_the_terminal() {
        for page in pages() {
            for line in page.lines() {
                assert!(line.chars().count() <= LINE_CHARS_MAX, "{line}");
                assert_eq!(line, line.trim_end(), "no blanks at the end of a line");
            }
            assert!(page.ends_with('\n') && !page.ends_with("\n\n"));
        }
    }

    #[test]
    fn wrapping_keeps_every_word() {
        let text = "one two three four five six";
        for width in 5..40 {
            let wrapped = wrap(text, 0, width);
            assert_eq!(wrapped.replace('\n', " "), text);
            assert!(wrapped.lines().all(|line| line.len() <= width));
        }
    }
}
