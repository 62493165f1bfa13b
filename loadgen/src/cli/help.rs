//! The texts of `--help`: first what to do, then every flag from the table.

use std::fmt::Write as _;

use super::Verb;
use super::flags::FLAGS;

/// `loadgen --help`.
pub(super) fn overview() -> String {
    let mut text = String::from(OVERVIEW);
    for &(name, verb) in Verb::ALL {
        writeln!(text, "  {name:<8}{}", summary_of(verb))
            .expect("a String takes whatever is written");
    }
    text + "\n`loadgen COMMAND --help` explains a command and all of its flags.\n"
}

/// `loadgen COMMAND --help`.
pub(super) fn of(verb: Verb) -> String {
    let mut text = format!("{}\n\n{}\n", summary_of(verb), lesson_of(verb));
    let mut group = "";
    for flag in FLAGS.iter().filter(|flag| flag.verbs.contains(&verb)) {
        if flag.group != group {
            group = flag.group;
            writeln!(text, "\n{group}:").expect("a String takes whatever is written");
        }
        let head = format!("{} {}", flag.name, flag.value);
        for (at, line) in wrap(flag.help, 72).iter().enumerate() {
            let head = if at == 0 { head.as_str() } else { "" };
            writeln!(text, "  {head:<26}{line}").expect("a String takes whatever is written");
        }
    }
    text
}

fn summary_of(verb: Verb) -> &'static str {
    match verb {
        Verb::Run => "open the connections, drive a scenario, report",
        Verb::Search => "find the highest rate (or number of connections) that holds",
        Verb::Plan => "what a run needs and the first limit it will meet; opens nothing",
        Verb::Diff => "compare two bundles: environment first, then quantiles with intervals",
        Verb::Merge => "join the bundles of several hosts, exactly",
        Verb::Report => "draw report.html and headline.png of a bundle again",
        Verb::Demo => "write an invented bundle, to see what a report looks like",
    }
}

fn lesson_of(verb: Verb) -> &'static str {
    match verb {
        Verb::Run => RUN,
        Verb::Search => SEARCH,
        Verb::Plan => PLAN,
        Verb::Diff => DIFF,
        Verb::Merge => MERGE,
        Verb::Report => {
            "  loadgen report DIR\n\nThe pictures depend on the other files alone; nothing is measured again."
        }
        Verb::Demo => {
            "  loadgen demo /tmp/demo && xdg-open /tmp/demo/report.html\n\nEvery page of it is stamped SYNTHETIC."
        }
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            let gap = if line.is_empty() { "" } else { " " };
            line.push_str(gap);
            line.push_str(word);
        }
    }
    lines
}

const OVERVIEW: &str = "\
loadgen: a million WebSocket connections from many addresses, and numbers that hold

Three commands to a first report:

  loadgen plan --connections 100k --target ws://127.0.0.1:9000/echo
      what it takes: addresses, memory, settings, and where this host will stop
  loadgen run --connections 100k --ramp 30k/s --rate 20k/s --duration 60s \\
      --target ws://127.0.0.1:9000/echo --report /tmp/first
      opens them, proves them alive, measures response times
  xdg-open /tmp/first/report.html

Commands:
";

const RUN: &str = "\
  loadgen run --target ws://127.0.0.1:9000/echo --connections 1000 --rate 20k/s --duration 30s

Three counts, never one: connected (TCP), upgraded (a valid handshake), proven alive (heard from within
the window). Two latencies, never one: response counts from the moment the schedule meant to send,
service from the moment it was sent; what lies between is the generator's own lateness and has a
histogram too. Seconds in which the generator was the limit are marked and not judged.

A message is received, lost or in flight; a wrong or repeated answer is an error and not throughput.

Exit code: 0 the run held, 1 a --fail-if was crossed, 2 the command line was wrong, 3 the run allows no
statement, 4 it could not be run. Ctrl-C ends a run early and still writes the report.";

const SEARCH: &str = "\
  loadgen search --target ws://127.0.0.1:9000/echo --connections 1000 --from 1k --to 200k \\
      --fail-if 'p99>20ms'

The sockets stay open between the steps. A value near the edge is tried again until passing or failing
is statistically settled; the knee is printed as a curve.";

const PLAN: &str = "\
  loadgen plan --connections 1M --target ws://10.0.0.1:9000 --source 10.99.0.0/16

Prints the `ip route` lines that make the addresses yours, and the lines that undo them. A source port
is only unique per listener: every (address, port) of the target multiplies what one source address can
hold, which is why the plan and every report say how many connections come per listener.";

const DIFF: &str = "\
  loadgen diff before/ after/ --html diff.html

Differences of the environment (kernel, settings, binaries, command) come first: most surprises are
there. Quantiles are compared by resampling whole seconds; `no difference` means that the interval
holds zero or that what is left is below 0.1 ms and 5 %.";

const MERGE: &str = "\
  loadgen merge host-a/ host-b/ --into both/

Histograms are added second by second, percentiles are computed from the sum and never averaged.";
