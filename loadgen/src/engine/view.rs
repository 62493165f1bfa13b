//! What is seen while a run goes on: a panel that redraws itself on a terminal, plain lines elsewhere.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use crate::series::Point;

/// Shows progress on standard error.
#[derive(Debug)]
pub struct View {
    mode: Mode,
    /// Lines of the panel that stand on the screen.
    drawn: usize,
    last: Option<Point>,
    since_line_s: f64,
    note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Panel,
    Lines,
    Quiet,
}

impl View {
    /// A panel on a terminal, a line a second elsewhere, nothing when that is wished.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let mode = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Panel,
            (false, false) => Mode::Lines,
        };
        Self {
            mode,
            drawn: 0,
            last: None,
            since_line_s: 0.0,
            note: String::new(),
        }
    }

    /// Says something in passing.
    pub fn note(&mut self, text: &str) {
        self.note = text.to_owned();
        if self.mode == Mode::Lines {
            write_out(&format!("{text}\n"));
        }
    }

    /// Says something that nobody may miss, however quiet the run is.
    pub fn warn(&mut self, text: &str) {
        write_out(&format!("{text}\n"));
    }

    /// Shows a moment.
    pub fn show(&mut self, point: &Point, length_s: f64, is_running: bool) {
        self.since_line_s += length_s;
        let last = self.last.replace(*point).unwrap_or_default();
        match self.mode {
            Mode::Quiet => {}
            Mode::Panel => {
                let panel = panel(point, &last, is_running, &self.note);
                let up = if self.drawn > 0 {
                    format!("\x1b[{}A\x1b[J", self.drawn)
                } else {
                    String::new()
                };
                self.drawn = panel.lines().count();
                write_out(&(up + &panel));
            }
            Mode::Lines if self.since_line_s >= LINE_EVERY_S => {
                self.since_line_s = 0.0;
                write_out(&line(point, &last, is_running));
            }
            Mode::Lines => {}
        }
    }

    /// The run is over; what stands on the screen stays.
    pub fn end(&mut self) {
        self.drawn = 0;
    }
}

/// A closed standard error (`2>&1 | head`) ends the view and not the run.
fn write_out(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

fn line(point: &Point, last: &Point, is_running: bool) -> String {
    let traffic = &point.traffic;
    let mut line = format!(
        "{:6.1} s  connected {}  upgraded {}  proven alive {} of {}",
        point.at_s, traffic.connected, traffic.upgraded, traffic.proven_alive, traffic.requested
    );
    if traffic.failed > 0 {
        write!(line, "  failed {}", traffic.failed).expect("a String takes whatever is written");
    }
    let (sent, received) = rates(point, last);
    if is_running && traffic.sent > 0 {
        write!(
            line,
            "  sent {sent:.0}/s  received {received:.0}/s  p50 {:.2} p99 {:.2} max {:.1} ms",
            traffic.response_p50_ms, traffic.response_p99_ms, traffic.response_max_ms
        )
        .expect("a String takes whatever is written");
    } else if !is_running {
        let rate = per_s(point, last, |point| point.traffic.connected);
        write!(line, "  {rate:.0}/s").expect("a String takes whatever is written");
    }
    if traffic.generator_limited > 0 {
        line.push_str("  GENERATOR IS THE LIMIT");
    }
    line.push('\n');
    line
}

fn panel(point: &Point, last: &Point, is_running: bool, note: &str) -> String {
    let traffic = &point.traffic;
    let (sent, received) = rates(point, last);
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    let mut panel = format!(
        " {:>6.1} s   {}   {}\n {}\n",
        point.at_s,
        if is_running { "running" } else { "ramping" },
        note,
        bar(traffic.proven_alive, traffic.connected, traffic.requested),
    );
    let connected = per_s(point, last, |point| point.traffic.connected);
    let rows = [
        format!(
            " connected {:>9}  upgraded {:>9}  proven alive {:>9}  of {}   ({connected:+.0}/s, connect {:.0} us)",
            traffic.connected,
            traffic.upgraded,
            traffic.proven_alive,
            traffic.requested,
            traffic.connect_us
        ),
        format!(
            " sent {sent:>10.0}/s  received {received:>10.0}/s  lost {}  errors {}  failed {}",
            traffic.lost, traffic.errors, traffic.failed
        ),
        format!(
            " response p50 {:.3} ms  p99 {:.3} ms  max {:.2} ms   lateness p99 {:.3} ms",
            traffic.response_p50_ms,
            traffic.response_p99_ms,
            traffic.response_max_ms,
            traffic.lateness_p99_ms
        ),
        format!(
            " memory: generator {:.0} MiB, server {:.0} MiB, kernel slab {:.0} MiB{}",
            mib(point.system.generator.rss_bytes),
            mib(point.system.server.rss_bytes),
            mib(point.system.kernel.memory.slab_bytes),
            if traffic.generator_limited > 0 {
                "   \x1b[31mthe generator is the limit\x1b[0m"
            } else {
                ""
            }
        ),
    ];
    for row in rows {
        panel.push_str(&row);
        panel.push('\n');
    }
    panel
}

/// Alive as blocks, connected and not yet proven as shade.
fn bar(alive: u64, connected: u64, requested: u64) -> String {
    let cells = |count: u64| (count * BAR_CELLS / requested.max(1)).min(BAR_CELLS) as usize;
    let (alive, connected) = (cells(alive), cells(connected).max(cells(alive)));
    let blocks = "█".repeat(alive) + &"▒".repeat(connected - alive);
    blocks + &"·".repeat(BAR_CELLS as usize - connected)
}

fn rates(point: &Point, last: &Point) -> (f64, f64) {
    (
        per_s(point, last, |point| point.traffic.sent),
        per_s(point, last, |point| point.traffic.received),
    )
}

fn per_s(point: &Point, last: &Point, counter: impl Fn(&Point) -> u64) -> f64 {
    let grown = counter(point) as f64 - counter(last) as f64;
    grown / (point.at_s - last.at_s).max(1e-3)
}

const BAR_CELLS: u64 = 72;
/// Where lines are kept (a log, a pipe), one a second is enough.
const LINE_EVERY_S: f64 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Traffic;

    fn moment(at_s: f64, connected: u64, sent: u64) -> Point {
        Point {
            at_s,
            traffic: Traffic {
                requested: 1000,
                connected,
                upgraded: connected,
                proven_alive: connected / 2,
                sent,
                received: sent,
                ..Traffic::default()
            },
            ..Point::default()
        }
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        let ramping = line(&moment(2.0, 500, 0), &moment(1.0, 100, 0), false);
        assert!(
            ramping.contains("connected 500") && ramping.contains("400/s"),
            "{ramping}"
        );
        let running = line(&moment(4.0, 1000, 3000), &moment(2.0, 1000, 1000), true);
        assert!(
            running.contains("sent 1000/s") && running.contains("of 1000"),
            "{running}"
        );
    }

    #[test]
    fn the_bar_is_as_wide_as_it_is() {
        for (alive, connected, requested) in [
            (0, 0, 0),
            (5, 3, 10),
            (10, 10, 10),
            (99, 99, 10),
            (1, 500, 1000),
        ] {
            assert_eq!(
                bar(alive, connected, requested).chars().count(),
                BAR_CELLS as usize
            );
        }
        assert!(bar(250, 500, 1000).starts_with(&"█".repeat(18)));
    }

    #[test]
    fn a_panel_has_the_same_height_every_time() {
        let heights: Vec<_> = [false, true]
            .map(|is_running| {
                panel(&moment(3.0, 10, 5), &moment(2.0, 0, 0), is_running, "")
                    .lines()
                    .count()
            })
            .into();
        assert_eq!(heights, [6, 6]);
    }
}
