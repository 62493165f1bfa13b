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

/// The contestant as it takes part in this case, if it does.
fn entrant(contestant: &Contestant, case: &Case) -> Option<Contestant> {
    let mut entrant = contestant.clone();
    match contestant.name.as_str() {
        "floor" if case.is_deflated => return None,
        "uws" if case.is_deflated => entrant.command.push("--deflate".to_owned()),
        _ => {}
    }
    Some(entrant)
}

impl Bench<'_> {
    pub(crate) fn fanout(&self, sheet: &mut Sheet) -> Result<()> {
        for case in cases(self.options) {
            if let Some(entrant) = entrant(self.contestant, &case) {
                let bench = Bench {
                    contestant: &entrant,
                    ..*self
                };
                bench.fan_out(&case, sheet)?;
            }
        }
        Ok(())
    }

    fn fan_out(&self, case: &Case, sheet: &mut Sheet) -> Result<()> {
        let server = self.start()?;
        let mut broadcast = Broadcast::open(server.address, *case)?;
        broadcast.run_for(WARMUP)?;
        let meter = self.meter(&server)?;
        let delivered = broadcast.run_for(self.options.duration)?;
        let spent = meter.stop()?;
        let deliveries = delivered.deliveries as f64;
        let (label, per_core) = (case.label(), deliveries * 1e9 / spent.total_ns);
        self.say(
            &format!("{label}: {per_core:.0} deliveries/s per server core"),
            &spent,
        );
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
            ("server busy %", 0, spent.busy() * 100.0),
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
    fn the_floor_does_not_deflate_and_uws_is_told_to() {
        let all = contestants(Path::new("peers")).unwrap();
        let case = |is_deflated| Case {
            payload_bytes: 1,
            subscribers: 1,
            is_deflated,
            text: false,
        };
        let words = |is_deflated| -> Vec<_> {
            let entrants = all
                .iter()
                .filter_map(|who| entrant(who, &case(is_deflated)));
            entrants
                .map(|who| (who.name.clone(), who.command.join(" ")))
                .collect()
        };
        assert_eq!(words(false).len(), 3);
        let deflating = words(true);
        assert_eq!(deflating.len(), 2);
        assert!(
            deflating[0].1.ends_with("--publish --deflate"),
            "{deflating:?}"
        );
    }
}
