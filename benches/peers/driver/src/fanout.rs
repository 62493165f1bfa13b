//! What one delivery costs when one message is published to many.

use std::path::Path;

use anyhow::Result;

use crate::bench::{Bench, WARMUP};
use crate::broadcast::{Broadcast, Case};
use crate::options::Options;
use crate::server::Contestant;
use crate::sheet::Sheet;

/// Deliveries that syscalls are counted over, at least: whole publications.
const TRACED_MIN: usize = 20_000;
/// Places a server has beside the subscribers'.
const CONNECTIONS_SPARE: usize = 1000;

/// Who can publish to many: the product's channels, uWebSockets' topics, and a bare loop of `send`.
pub(crate) fn contestants(peers: &Path) -> Result<Vec<Contestant>> {
    let peers = peers.display();
    // One channel where anybody may do anything, without history and without news of who joins:
    // like a topic. No pings, which nobody here answers. Deflating as uWebSockets does, for those
    // who offer it: zlib's default level, the largest window, nothing kept between messages.
    let product = "throng=target/release/throng serve --config benches/fanout.toml \
        --listen 127.0.0.1:PORT --workers 1 --admin off --ping-interval 0 \
        --deflate shared --deflate-level 6 --deflate-window 15";
    [
        format!("uws={peers}/uws --port PORT --publish"),
        product.to_owned(),
        format!("floor={peers}/floor --port PORT --publish"),
    ]
    .iter()
    .map(|text| Contestant::parse(text))
    .collect()
}

/// The sizes to each number of subscribers, and JSON to the fewest.
pub(crate) fn cases(options: &Options) -> Vec<Case> {
    let case = |payload_bytes, subscribers, is_deflated| Case {
        payload_bytes,
        subscribers,
        is_deflated,
        text: options.text,
    };
    let plain = options.subscribers.iter().flat_map(|&subscribers| {
        let sizes = options.sizes.iter();
        sizes.map(move |&size| case(size, subscribers, false))
    });
    let fewest = options.subscribers.iter().min().copied().unwrap_or(0);
    let deflated = options.json.iter().map(|&size| case(size, fewest, true));
    plain.chain(deflated).collect()
}

/// The contestant as it takes part in this case, if it does: the floor does not deflate, and more
/// subscribers than a descriptor table holds need a server that has several.
fn entrant(contestant: &Contestant, case: &Case, per_table: usize) -> Option<Contestant> {
    let is_beyond = case.subscribers > per_table;
    let words = match contestant.name.as_str() {
        "floor" if case.is_deflated => return None,
        "floor" if is_beyond => {
            // The kernel deals connections out by chance: some shards get more than their share.
            let shards = case.subscribers.div_ceil(per_table * 3 / 4);
            vec!["--shards".to_owned(), shards.to_string()]
        }
        "uws" if is_beyond => return None,
        "uws" if case.is_deflated => vec!["--deflate".to_owned()],
        // As few workers as can hold that many: by itself it would have more join as they fill.
        "throng" => {
            let connections = case.subscribers + CONNECTIONS_SPARE;
            vec!["--max-connections".to_owned(), connections.to_string()]
        }
        _ => Vec::new(),
    };
    let mut entrant = contestant.clone();
    entrant.command.extend(words);
    Some(entrant)
}

impl Bench<'_> {
    /// One case, with at most so many subscribers to a descriptor table.
    pub(crate) fn fanout(&self, case: &Case, per_table: usize, sheet: &mut Sheet) -> Result<()> {
        let Some(entrant) = entrant(self.contestant, case, per_table) else {
            return Ok(());
        };
        let bench = Bench {
            contestant: &entrant,
            ..*self
        };
        bench.fan_out(case, per_table, sheet)
    }

    fn fan_out(&self, case: &Case, per_table: usize, sheet: &mut Sheet) -> Result<()> {
        let server = self.start()?;
        let mut broadcast = Broadcast::open(server.address, *case, per_table)?;
        broadcast.run_for(WARMUP)?;
        let meter = self.meter(&server)?;
        let delivered = broadcast.run_for(self.options.duration)?;
        let spent = meter.stop()?;
        let deliveries = delivered.deliveries as f64;
        let (label, per_core) = (case.label(), deliveries * 1e9 / spent.total_ns);
        let what = format!("{label}: {per_core:.0} deliveries/s per server core");
        if case.subscribers <= per_table {
            self.say(&what, &spent);
            let busy = spent.busy() * 100.0;
            self.note(sheet, &format!("{label}: server busy %"), 0, busy);
        } else {
            // Its threads wait for each other: how busy they are says nothing.
            println!("round {} {}: {what}", self.round, self.contestant.name);
        }
        let rows = [
            ("deliveries/s per server core", 0, per_core),
            ("deliveries/s seen", 0, deliveries * 1e9 / spent.wall_ns),
            ("CPU ns/delivery", 0, spent.total_ns / deliveries),
            ("user ns/delivery", 0, spent.user_ns() / deliveries),
            ("system ns/delivery", 0, spent.system_ns() / deliveries),
            (
                "wire bytes/delivery",
                1,
                delivered.bytes as f64 / deliveries,
            ),
        ];
        for (row, decimals, figure) in rows {
            self.note(sheet, &format!("{label}: {row}"), decimals, figure);
        }
        // Counts repeat: once is enough.
        if self.round == 1 {
            let publications = TRACED_MIN.div_ceil(case.subscribers) as u64;
            let counted =
                self.count_syscalls(&server, || broadcast.run_count(publications).map(|_| ()))?;
            let deliveries = publications * case.subscribers as u64;
            let name = &self.contestant.name;
            println!("{name}, {label}: {} a delivery", counted.per(deliveries));
            let calls = counted.total() as f64 / deliveries as f64;
            self.note(sheet, &format!("{label}: syscalls/delivery"), 3, calls);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_goes_to_every_number_and_json_to_the_fewest() {
        let options = Options {
            sizes: vec![1, 2],
            json: vec![3],
            subscribers: vec![20, 10],
            ..Options::default()
        };
        let labels: Vec<_> = cases(&options).iter().map(Case::label).collect();
        let expected = [
            "1 B to 20",
            "2 B to 20",
            "1 B to 10",
            "2 B to 10",
            "3 B of JSON, deflated, to 10",
        ];
        assert_eq!(labels, expected);
    }

    #[test]
    fn who_takes_part_is_told_how() {
        let all = contestants(Path::new("peers")).unwrap();
        let words = |is_deflated, subscribers| -> Vec<_> {
            let case = Case {
                payload_bytes: 1,
                subscribers,
                is_deflated,
                text: false,
            };
            let entrants = all.iter().filter_map(|who| entrant(who, &case, 100));
            let last = |who: Contestant| (who.name, who.command[who.command.len() - 2..].join(" "));
            entrants.map(last).collect()
        };
        let named = |pairs: &[(&str, &str)]| -> Vec<_> {
            let owned = |(name, last): &(&str, &str)| ((*name).to_owned(), (*last).to_owned());
            pairs.iter().map(owned).collect()
        };
        let product = ("throng", "--max-connections 1100");
        let plain = [
            ("uws", "PORT --publish"),
            product,
            ("floor", "PORT --publish"),
        ];
        assert_eq!(words(false, 100), named(&plain));
        let deflating = [("uws", "--publish --deflate"), product];
        assert_eq!(words(true, 100), named(&deflating));
        let product = ("throng", "--max-connections 1101");
        assert_eq!(
            words(false, 101),
            named(&[product, ("floor", "--shards 2")])
        );
    }
}
