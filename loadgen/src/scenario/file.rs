//! From a TOML file to a [`Scenario`].

use toml::de::DeTable;

use super::reader::{Reader, ScenarioError, Source};
use super::{
    Beast, Cohort, Cut, CutBy, Floor, Handshake, Kind, MessageShape, Pace, Phase, Scenario,
};
use crate::backoff::Backoff;
use crate::dialect::Dialect;
use crate::identity::{Identity, Signer, Token};
use crate::schedule::Arrivals;
use crate::target::Target;
use crate::thresholds::Threshold;
use crate::units::{UnitError, parse_bytes, parse_count, parse_rate, parse_share};
use std::path::Path;
use std::time::Duration;

/// Reads a scenario file; every error names its line. `given` is how long the command line wants it to last:
/// that wins over the file, which need not say it then.
pub fn parse(file: &str, text: &str, given: Option<Duration>) -> Result<Scenario, ScenarioError> {
    let source = Source { file, text };
    let table = DeTable::parse(text).map_err(|error| {
        source.error(
            error.span().map_or(0, |span| span.start),
            error.message().to_owned(),
        )
    })?;
    let root = Reader {
        source,
        table: table.get_ref(),
        at: 0,
    };
    root.only(&[
        "name", "target", "targets", "duration", "ramp", "seed", "fail_if", "cohort", "phase",
    ])?;
    let cohorts = root
        .tables("cohort")?
        .iter()
        .map(cohort)
        .collect::<Result<Vec<_>, _>>()?;
    if cohorts.is_empty() {
        return Err(root.error_here("a scenario has at least one [[cohort]]"));
    }
    for (at, cohort) in cohorts.iter().enumerate() {
        if cohorts[..at].iter().any(|other| other.name == cohort.name) {
            return Err(
                root.tables("cohort")?[at].error_at("name", format!("`{}` is taken", cohort.name))
            );
        }
    }
    let phases = root
        .tables("phase")?
        .iter()
        .map(|reader| phase(reader, &cohorts))
        .collect::<Result<Vec<_>, _>>()?;
    let written = duration(&root, &phases)?;
    let Some(duration) = given.or(written) else {
        return Err(root.error_here(
            "say how long: --duration 60s, or here duration = \"60s\", or a duration for every phase",
        ));
    };
    Ok(Scenario {
        name: root.text("name")?.unwrap_or("scenario").to_owned(),
        targets: targets(&root)?,
        duration,
        ramp_per_s: root.quantity("ramp", parse_rate)?.unwrap_or(0.0),
        seed: root.quantity("seed", parse_count)?,
        cohorts,
        phases,
        thresholds: thresholds(&root)?,
    })
}

fn targets(root: &Reader<'_>) -> Result<Vec<Target>, ScenarioError> {
    let mut written = root
        .texts("targets")?
        .into_iter()
        .map(|text| ("targets", text))
        .collect::<Vec<_>>();
    written.extend(root.text("target")?.map(|text| ("target", text)));
    written
        .into_iter()
        .map(|(key, text)| Target::parse(text).map_err(|error| root.error_at(key, error)))
        .collect()
}

fn thresholds(root: &Reader<'_>) -> Result<Vec<Threshold>, ScenarioError> {
    let parse = |text: &str| {
        Threshold::parse(text)
            .map_err(|error| root.error_at("fail_if", format!("`{text}`: {error}")))
    };
    root.texts("fail_if")?.into_iter().map(parse).collect()
}

/// As written, or the phases together.
fn duration(root: &Reader<'_>, phases: &[Phase]) -> Result<Option<Duration>, ScenarioError> {
    let of_phases: Option<Duration> = phases.iter().map(|phase| phase.duration).sum();
    let of_phases = of_phases.filter(|_| !phases.is_empty());
    let last_is_open = phases.last().is_some_and(|phase| phase.duration.is_none());
    match (root.duration("duration")?, of_phases) {
        (Some(duration), Some(sum)) if !last_is_open && sum != duration => Err(root.error_at(
            "duration",
            format!("the phases last {sum:?} together, not {duration:?}"),
        )),
        (duration, of_phases) => Ok(duration.or(of_phases)),
    }
}

fn cohort(reader: &Reader<'_>) -> Result<Cohort, ScenarioError> {
    let names: Vec<(&str, &str)> = Kind::NAMES.iter().map(|name| (*name, *name)).collect();
    let kind_name = reader.choice("kind", &names)?.ok_or_else(|| {
        reader.error_here(format!("a cohort has a kind: {}", Kind::NAMES.join(", ")))
    })?;
    let (kind, own_keys) = kind(reader, kind_name)?;
    let mut known = COMMON.to_vec();
    known.extend(own_keys);
    reader.only(&known)?;
    let name = reader.text("name")?.unwrap_or(kind_name);
    if name.is_empty()
        || !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return Err(reader.error_at(
            "name",
            "a name has letters, digits, - and _: it becomes a file name",
        ));
    }
    let connections = reader
        .quantity("connections", parse_count)?
        .filter(|&count| count > 0);
    Ok(Cohort {
        name: name.to_owned(),
        kind,
        connections: connections
            .ok_or_else(|| reader.error_at("connections", "a cohort has at least one"))?,
        messages: messages(reader)?,
        handshake: handshake(reader)?,
    })
}

/// The kind and the keys that only it has.
fn kind(reader: &Reader<'_>, name: &str) -> Result<(Kind, &'static [&'static str]), ScenarioError> {
    Ok(match name {
        "echo" => (
            Kind::Echo {
                pace: pace(reader)?,
            },
            PACE,
        ),
        "broadcast" => {
            let publishers = reader.quantity("publishers", parse_count)?.unwrap_or(1);
            (
                Kind::Broadcast {
                    pace: pace(reader)?,
                    publishers,
                },
                &["rate", "arrivals", "in_flight", "publishers"],
            )
        }
        "churn" => {
            let life = reader.duration("life")?.filter(|life| !life.is_zero());
            let life = life.ok_or_else(|| {
                reader.error_at(
                    "life",
                    "a churning cohort says how long a connection lives: \"10s\"",
                )
            })?;
            (Kind::Churn { life }, &["life"])
        }
        "storm" => (
            Kind::Storm {
                backoff: reader.choice("backoff", Backoff::ALL)?.unwrap_or_default(),
            },
            &["backoff"],
        ),
        "slow" => {
            let bytes_per_s = reader.quantity("read", parse_bytes_per_s)?;
            let bytes_per_s = bytes_per_s
                .ok_or_else(|| reader.error_at("read", "a slow cohort says how slow: \"1k/s\""))?;
            (
                Kind::Slow {
                    bytes_per_s,
                    pace: pace(reader)?,
                },
                &["rate", "arrivals", "in_flight", "read"],
            )
        }
        "zoo" => {
            let beast = reader.choice("beast", Beast::ALL)?;
            let names = || {
                Beast::ALL
                    .iter()
                    .map(|(name, _)| *name)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            (
                Kind::Zoo {
                    beast: beast.ok_or_else(|| {
                        reader.error_at("beast", format!("a zoo has a beast: {}", names()))
                    })?,
                },
                &["beast"],
            )
        }
        "pubsub" | "chat" => (rooms(reader, name == "chat")?, ROOMS),
        _ => (Kind::Idle, &[]),
    })
}

fn rooms(reader: &Reader<'_>, everyone: bool) -> Result<Kind, ScenarioError> {
    let pace = pace(reader)?;
    if matches!(pace, Pace::Closed { .. }) {
        return Err(reader.error_at(
            "rate",
            "rooms are spoken in at a rate, all together: rate = \"200/s\"",
        ));
    }
    let size = reader.quantity("room_size", parse_count)?;
    Ok(Kind::Rooms {
        pace,
        floor: Floor {
            size: size.unwrap_or(Floor::default().size).max(1),
            everyone,
            dialect: reader.choice("dialect", Dialect::ALL)?.unwrap_or_default(),
            presence: reader.flag("presence")?.unwrap_or_default(),
        },
        backoff: reader.choice("backoff", Backoff::ALL)?.unwrap_or_default(),
    })
}

fn pace(reader: &Reader<'_>) -> Result<Pace, ScenarioError> {
    let rate = reader.quantity("rate", parse_rate)?;
    let in_flight = reader.quantity("in_flight", parse_count)?;
    let arrivals = reader.choice("arrivals", ARRIVALS)?;
    match (rate, in_flight) {
        (Some(_), Some(_)) => Err(reader.error_at(
            "in_flight",
            "a schedule is open (rate) or closed (in_flight), not both",
        )),
        (Some(rate_per_s), None) => Ok(Pace::Open {
            rate_per_s,
            arrivals: arrivals.unwrap_or(Arrivals::Even),
        }),
        (None, in_flight) => Ok(Pace::Closed {
            in_flight: in_flight.unwrap_or(1).clamp(1, 1 << 20) as u32,
        }),
    }
}

fn messages(reader: &Reader<'_>) -> Result<MessageShape, ScenarioError> {
    let default = MessageShape::default();
    Ok(MessageShape {
        bytes: reader
            .quantity("size", parse_size)?
            .unwrap_or(default.bytes),
        text: reader
            .choice("payload", &[("text", true), ("binary", false)])?
            .unwrap_or(default.text),
        deflate: reader.flag("deflate")?.unwrap_or(default.deflate),
    })
}

fn handshake(reader: &Reader<'_>) -> Result<Handshake, ScenarioError> {
    let mut headers = Vec::new();
    if let Some(table) = reader.table("headers")? {
        for key in table.table.keys() {
            let name = key.get_ref().as_ref();
            let value = table.text(name)?.unwrap_or_default();
            if !is_header(name, value) {
                return Err(table.error_at(name, "is not a header that can be sent"));
            }
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(Handshake {
        subprotocol: reader.text("subprotocol")?.map(str::to_owned),
        headers,
        identity: identity(reader)?,
        channel: reader.text("channel")?.unwrap_or_default().to_owned(),
        heartbeat: reader.duration("heartbeat")?.unwrap_or(HEARTBEAT),
    })
}

fn identity(reader: &Reader<'_>) -> Result<Identity, ScenarioError> {
    let secret = reader.text("token_secret")?;
    let token = match (reader.text("token")?, secret) {
        (Some(_), Some(_)) => {
            return Err(reader.error_at("token", "a token is written or signed, not both"));
        }
        (Some(template), None) => Some(Token::Template(template.to_owned())),
        (None, Some(path)) => {
            let signer = Signer::of_file(Path::new(path));
            let signer = signer.map_err(|error| reader.error_at("token_secret", error))?;
            Some(Token::Signed(signer))
        }
        (None, None) => None,
    };
    Ok(Identity {
        user: reader.text("user")?.unwrap_or_default().to_owned(),
        token,
    })
}

fn phase(reader: &Reader<'_>, cohorts: &[Cohort]) -> Result<Phase, ScenarioError> {
    reader.only(&[
        "name",
        "duration",
        "ends_when_open",
        "rate",
        "silent",
        "absent",
        "cut",
        "by",
    ])?;
    let silent = names_of(reader, "silent", cohorts)?;
    let absent = names_of(reader, "absent", cohorts)?;
    let share = reader.quantity("cut", parse_share)?;
    let by = reader.choice("by", CutBy::ALL)?.unwrap_or(CutBy::Rst);
    Ok(Phase {
        name: reader.text("name")?.unwrap_or("phase").to_owned(),
        duration: reader.duration("duration")?,
        ends_when_open: reader.flag("ends_when_open")?.unwrap_or(false),
        rate: reader.quantity("rate", parse_rate)?.unwrap_or(1.0),
        silent,
        absent,
        cut: share.map(|share| Cut { share, by }),
    })
}

/// A list of cohorts.
fn names_of(
    reader: &Reader<'_>,
    key: &str,
    cohorts: &[Cohort],
) -> Result<Vec<String>, ScenarioError> {
    let names = reader.texts(key)?;
    let is_unknown = |name: &&&str| cohorts.iter().all(|cohort| cohort.name != **name);
    match names.iter().find(is_unknown) {
        Some(unknown) => Err(reader.error_at(key, format!("there is no cohort `{unknown}`"))),
        None => Ok(names.into_iter().map(str::to_owned).collect()),
    }
}

/// Whether a header can stand in a request: a token as its name, nothing in its value that ends a line.
pub(crate) fn is_header(name: &str, value: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token) && value.bytes().all(|b| b >= b' ' && b != 0x7f)
}

/// `512` or `64-512`.
pub(crate) fn parse_size(text: &str) -> Result<(u64, u64), UnitError> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let bytes = (parse_bytes(least)?, parse_bytes(most)?);
    if bytes.0 > bytes.1 || bytes.1 > MESSAGE_BYTES_MAX {
        Err(UnitError::OutOfRange)
    } else {
        Ok(bytes)
    }
}

/// `1k/s`, binary multiples.
pub(crate) fn parse_bytes_per_s(text: &str) -> Result<u64, UnitError> {
    parse_bytes(text.trim().strip_suffix("/s").unwrap_or(text))
}

/// How sends are spread, by name.
pub(crate) const ARRIVALS: &[(&str, Arrivals)] =
    &[("even", Arrivals::Even), ("poisson", Arrivals::Poisson)];
/// A ping every half minute: twice within the usual idle timeout of a minute.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(30);
/// A message is built in one buffer per thread; a gigabyte would be a typing error.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;
const COMMON: &[&str] = &[
    "name",
    "kind",
    "connections",
    "size",
    "payload",
    "deflate",
    "subprotocol",
    "headers",
    "heartbeat",
    "user",
    "token",
    "token_secret",
    "channel",
];
const ROOMS: &[&str] = &[
    "rate",
    "arrivals",
    "in_flight",
    "room_size",
    "dialect",
    "presence",
    "backoff",
];
const PACE: &[&str] = &["rate", "arrivals", "in_flight"];
