//! Instructions per message in user space, counted by valgrind. Unlike time they repeat to the
//! last digit on any machine; unlike time they say nothing of caches and of the kernel.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::load::Load;
use crate::options::Options;
use crate::server::{Contestant, Server};
use crate::sys;

/// The two runs whose difference is counted, so that starting and upgrading cancel out.
const MESSAGES: (u64, u64) = (1_000, 5_000);
/// Valgrind runs a server some fifty times slower.
const END_MAX: Duration = Duration::from_secs(60);

/// Instructions for one message of this size.
pub(crate) fn per_message(options: &Options, contestant: &Contestant, size: usize) -> Result<f64> {
    let (few, many) = MESSAGES;
    let few_cost = instructions(options, contestant, size, few)?;
    let many_cost = instructions(options, contestant, size, many)?;
    Ok((many_cost - few_cost) as f64 / (many - few) as f64)
}

fn instructions(
    options: &Options,
    contestant: &Contestant,
    size: usize,
    messages: u64,
) -> Result<i64> {
    let pid = std::process::id();
    let profile = std::env::temp_dir().join(format!("compare-callgrind-{pid}"));
    let wrapper = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", profile.display()),
    ];
    let server = Server::start(contestant, &wrapper, options.server_core)?;
    sys::pin_to(options.client_core)?;
    let mut load = Load::open(server.address, options.connections, size, options.text)?;
    load.run_count(messages)?;
    drop(load);
    server.terminate(END_MAX)?;
    let text = fs::read_to_string(&profile).context("valgrind wrote no profile")?;
    fs::remove_file(&profile).ok();
    parse(&text).context("no total in valgrind's profile")
}

/// The last `totals:` (or, of a single part, `summary:`) line.
fn parse(profile: &str) -> Option<i64> {
    let figure = |line: &str| {
        let rest = line
            .strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    profile.lines().rev().find_map(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_its_last_line() {
        assert_eq!(
            parse("version: 1\nsummary: 12\nfn=(1)\n1 2\ntotals: 4711\n"),
            Some(4711)
        );
        assert_eq!(parse("nothing"), None);
    }
}
