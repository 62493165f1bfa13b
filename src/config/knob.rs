//! One knob: its name, what it accepts, and how it is set and shown.

use std::fmt;
use std::path::{Path, PathBuf};

use super::endpoint::EndpointError;
use super::origin::OriginError;
use super::quantity::{self, QuantityError};
use super::suggest::nearest;
use super::{Config, Count, Endpoint, Origin};
use crate::proxy::{Source, SourceError};

/// Something an operator can set, by flag or in the file: a field of [`Config`], or of whatever else
/// has a table of its own.
#[derive(Debug)]
pub struct Knob<C: 'static = Config> {
    /// `max-message`: the flag without its dashes; the file key has `_` for `-`.
    pub name: &'static str,
    /// The heading it stands under.
    pub group: Group,
    /// What it accepts and where that goes.
    pub kind: Kind<C>,
    /// One line.
    pub brief: &'static str,
    /// What it protects, what it costs, when to change it.
    pub story: &'static str,
    /// A value that makes a good example.
    pub example: &'static str,
    /// What other programs call it: for suggestions, not accepted.
    pub also: &'static [&'static str],
}

/// The headings of `--help`, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where and with what.
    Serving,
    /// The same for peers that speak TLS.
    Tls,
    /// Who may connect.
    Access,
    /// How many may connect, and how fast.
    Admission,
    /// What one client may have.
    Share,
    /// Subscribers that read too slowly.
    Slow,
    /// What one message or head may cost.
    Sizes,
    /// How long a peer may take.
    Times,
    /// What a slow reader may cost.
    Queues,
    /// What is kept of what was published.
    History,
    /// The port for operators and backends.
    Admin,
    /// permessage-deflate.
    Compression,
    /// Sockets and cores.
    Machine,
    /// What the channels of a namespace are like; keys of `[[namespaces]]`, and no flags.
    Namespace,
}

impl Group {
    /// All headings of flags, in the order of `--help`.
    pub const ALL: [Self; 13] = [
        Self::Serving,
        Self::Tls,
        Self::Access,
        Self::Admission,
        Self::Share,
        Self::Slow,
        Self::Sizes,
        Self::Times,
        Self::Queues,
        Self::History,
        Self::Admin,
        Self::Compression,
        Self::Machine,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Serving => "Serving",
            Self::Tls => "TLS",
            Self::Access => "Access",
            Self::Admission => "Admission",
            Self::Share => "What one client may have",
            Self::Slow => "Slow subscribers",
            Self::Sizes => "Sizes",
            Self::Times => "Times",
            Self::Queues => "Slow readers",
            Self::History => "History",
            Self::Admin => "Admin port",
            Self::Compression => "Compression",
            Self::Machine => "Sockets and cores",
            Self::Namespace => "Namespaces",
        }
    }

    /// The table of the file that its keys stand in; most stand at the top.
    pub fn section(self) -> Option<&'static str> {
        match self {
            Self::Tls => Some("tls"),
            Self::Access => Some("auth"),
            Self::Admission | Self::Share | Self::Slow => Some("limits"),
            Self::History => Some("history"),
            Self::Namespace => Some("namespaces"),
            _ => None,
        }
    }
}

/// What a knob accepts, with the way into [`Config`].
#[derive(Debug)]
pub enum Kind<C: 'static = Config> {
    /// `64KiB`, `16MiB`; a bare number is bytes.
    Bytes(Number<C>),
    /// `25s`, `500ms`; a bare number is seconds.
    Duration(Number<C>),
    /// A plain number.
    Count(Number<C>),
    /// A plain number or `auto`.
    CountOrAuto(Tally<C>),
    /// `on` or `off`.
    Switch(Toggle<C>),
    /// One of a few words.
    Choice(Choice<C>),
    /// Addresses; the flag may be repeated.
    Endpoints(List<Endpoint, C>),
    /// Origins of pages; the flag may be repeated.
    Origins(List<Origin, C>),
    /// Networks of load balancers; the flag may be repeated.
    Sources(List<Source, C>),
    /// An address or `off`.
    EndpointOrOff(Door<C>),
    /// A path, or a word for having none.
    PathOrWord(Shelf<C>),
}

/// A bounded number. The bounds fit the field it is written to (a test writes both).
#[derive(Debug)]
pub struct Number<C: 'static = Config> {
    /// Smallest value.
    pub min: u64,
    /// Largest value.
    pub max: u64,
    /// Whether 0 is accepted below `min`, and what it means.
    pub zero: Option<&'static str>,
    /// Reads the field.
    pub read: fn(&C) -> u64,
    /// Writes the field.
    pub write: fn(&mut C, u64),
}

/// A bounded number that may be left to the server.
#[derive(Debug)]
pub struct Tally<C: 'static = Config> {
    /// Smallest value.
    pub min: u32,
    /// Largest value.
    pub max: u32,
    /// Reads the field.
    pub read: fn(&C) -> Count,
    /// Writes the field.
    pub write: fn(&mut C, Count),
}

/// A switch.
#[derive(Debug)]
pub struct Toggle<C: 'static = Config> {
    /// Reads the field.
    pub read: fn(&C) -> bool,
    /// Writes the field.
    pub write: fn(&mut C, bool),
}

/// One of a few words.
#[derive(Debug)]
pub struct Choice<C: 'static = Config> {
    /// The words.
    pub words: &'static [&'static str],
    /// Reads the field.
    pub read: fn(&C) -> &'static str,
    /// Writes the field; false if the word is not one of `words`.
    pub write: fn(&mut C, &str) -> bool,
}

/// A list.
#[derive(Debug)]
pub struct List<T: 'static, C: 'static = Config> {
    /// Reads the field.
    pub read: fn(&C) -> &[T],
    /// The field itself.
    pub slot: fn(&mut C) -> &mut Vec<T>,
    /// The word for none at all, if there may be none.
    pub none: Option<&'static str>,
}

/// An address that may be left out.
#[derive(Debug)]
pub struct Door<C: 'static = Config> {
    /// Reads the field.
    pub read: fn(&C) -> Option<&Endpoint>,
    /// Writes the field.
    pub write: fn(&mut C, Option<Endpoint>),
}

/// A path that may be left out.
#[derive(Debug)]
pub struct Shelf<C: 'static = Config> {
    /// What stands for it in `--help`.
    pub placeholder: &'static str,
    /// The word for having none.
    pub word: &'static str,
    /// Reads the field.
    pub read: fn(&C) -> Option<&Path>,
    /// Writes the field.
    pub write: fn(&mut C, Option<PathBuf>),
}

/// Why a value is refused; the caller knows where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with the value, to be read after it.
    pub cause: String,
    /// What to write instead.
    pub cure: String,
}

impl<C> Knob<C> {
    /// `--max-message`.
    pub fn flag(&self) -> String {
        format!("--{}", self.name)
    }

    /// `max_message`. In a section of its own name, a key does not repeat that name: `--history-dir`
    /// is `dir` in `[history]`.
    pub fn key(&self) -> String {
        let name = match self.group {
            Group::Tls => self.name.strip_prefix("tls-").unwrap_or(self.name),
            Group::History => self.name.strip_prefix("history-").unwrap_or(self.name),
            _ => self.name,
        };
        name.replace('-', "_")
    }

    /// Whether that is its whole name, written as keys are: `tls_listen`.
    pub fn is_called(&self, key: &str) -> bool {
        self.name.replace('-', "_") == key
    }

    /// How the file says it: `max_message = "1MiB"`, `[auth] anonymous = "off"`.
    pub fn line(&self, literal: &str) -> String {
        match self.group.section() {
            Some(section) if self.group == Group::Namespace => {
                format!("[[{section}]] {} = {literal}", self.key())
            }
            Some(section) => format!("[{section}] {} = {literal}", self.key()),
            None => format!("{} = {literal}", self.key()),
        }
    }

    /// Sets it from text. A list grows; whoever starts a new one clears it first.
    pub fn accept(&self, config: &mut C, text: &str) -> Result<(), Refusal> {
        match &self.kind {
            Kind::Bytes(number) => {
                let bytes = quantity::parse_bytes(text).map_err(|e| self.unreadable(e))?;
                number.accept(config, bytes, self)
            }
            Kind::Duration(number) => {
                let ms = quantity::parse_duration_ms(text).map_err(|e| self.unreadable(e))?;
                number.accept(config, ms, self)
            }
            Kind::Count(number) => {
                let count = quantity::parse_count(text).map_err(|e| self.unreadable(e))?;
                number.accept(config, count, self)
            }
            Kind::CountOrAuto(tally) => tally.accept(config, text, self),
            Kind::Switch(toggle) => toggle.accept(config, text),
            Kind::Choice(choice) => choice.accept(config, text),
            Kind::Endpoints(list) => {
                let full = "listen on :port to cover every IPv4 address";
                let refusal = |error: EndpointError| (error.to_string(), error.cure(text));
                list.accept(config, text, text.parse().map_err(refusal), full)
            }
            Kind::Origins(list) => {
                let full = "serve pages from fewer places, or write * for any";
                let refusal = |error: OriginError| (error.to_string(), error.cure().to_owned());
                list.accept(config, text, text.parse().map_err(refusal), full)
            }
            Kind::Sources(list) => {
                let cure = "write 10.0.0.0/8, 192.0.2.7, 2001:db8::/32 or unix".to_owned();
                let refusal = |error: SourceError| (error.to_string(), cure);
                let full = "name networks rather than addresses";
                list.accept(config, text, text.parse().map_err(refusal), full)
            }
            Kind::EndpointOrOff(door) => door.accept(config, text),
            Kind::PathOrWord(shelf) => shelf.accept(config, text, self),
        }
    }

    /// The value as one would write it.
    pub fn show(&self, config: &C) -> String {
        match &self.kind {
            Kind::Bytes(number) => quantity::show_bytes((number.read)(config)),
            Kind::Duration(number) => quantity::show_duration((number.read)(config)),
            Kind::Count(number) => (number.read)(config).to_string(),
            Kind::CountOrAuto(tally) => match (tally.read)(config) {
                Count::Auto => AUTO.to_owned(),
                Count::Exactly(n) => n.to_string(),
            },
            Kind::Switch(toggle) => SWITCH[usize::from((toggle.read)(config))].to_owned(),
            Kind::Choice(choice) => (choice.read)(config).to_owned(),
            Kind::Endpoints(list) => list.show(config),
            Kind::Origins(list) => list.show(config),
            Kind::Sources(list) => list.show(config),
            Kind::EndpointOrOff(door) => {
                (door.read)(config).map_or_else(|| SWITCH[0].to_owned(), Endpoint::to_string)
            }
            Kind::PathOrWord(shelf) => {
                let shown = |path: &Path| path.display().to_string();
                (shelf.read)(config).map_or_else(|| shelf.word.to_owned(), shown)
            }
        }
    }

    /// What stands for the value in `--help`: `BYTES`, `off|on`.
    pub fn placeholder(&self) -> String {
        match &self.kind {
            Kind::Bytes(_) => "BYTES".to_owned(),
            Kind::Duration(_) => "TIME".to_owned(),
            Kind::Count(_) => "N".to_owned(),
            Kind::CountOrAuto(_) => "N|auto".to_owned(),
            Kind::Switch(_) => SWITCH.join("|"),
            Kind::Choice(choice) => choice.words.join("|"),
            Kind::Endpoints(list) => match list.none {
                None => "ADDR".to_owned(),
                Some(none) => format!("ADDR|{none}"),
            },
            Kind::Origins(_) => "ORIGIN".to_owned(),
            Kind::Sources(_) => "NETWORK|off".to_owned(),
            Kind::EndpointOrOff(_) => format!("ADDR|{}", SWITCH[0]),
            Kind::PathOrWord(shelf) => format!("{}|{}", shelf.placeholder, shelf.word),
        }
    }

    /// The values it accepts, in words: `1KiB to 1GiB`.
    pub fn accepts(&self) -> String {
        match &self.kind {
            Kind::Bytes(number) => number.accepts(quantity::show_bytes),
            Kind::Duration(number) => number.accepts(quantity::show_duration),
            Kind::Count(number) => number.accepts(|n| n.to_string()),
            Kind::CountOrAuto(tally) => format!("{} to {}, or {AUTO}", tally.min, tally.max),
            Kind::Switch(_) => SWITCH.join(" or "),
            Kind::Choice(choice) => choice.words.join(", "),
            Kind::Endpoints(list) => match list.none {
                None => ENDPOINT_FORMS.to_owned(),
                Some(none) => format!("{ENDPOINT_FORMS}, or {none}"),
            },
            Kind::Origins(_) => "scheme://host, scheme://host:port, same, *".to_owned(),
            Kind::Sources(_) => "ip, ip/bits, unix, or off".to_owned(),
            Kind::EndpointOrOff(_) => format!("{ENDPOINT_FORMS}, or {}", SWITCH[0]),
            Kind::PathOrWord(shelf) => format!("a path with a / or a . in it, or {}", shelf.word),
        }
    }

    /// Whether its flag may be given more than once.
    pub fn is_list(&self) -> bool {
        matches!(
            self.kind,
            Kind::Endpoints(_) | Kind::Origins(_) | Kind::Sources(_)
        )
    }

    /// Forgets the entries of a list.
    pub fn clear_list(&self, config: &mut C) {
        match &self.kind {
            Kind::Endpoints(list) => (list.slot)(config).clear(),
            Kind::Origins(list) => (list.slot)(config).clear(),
            Kind::Sources(list) => (list.slot)(config).clear(),
            _ => {}
        }
    }

    fn unreadable(&self, error: QuantityError) -> Refusal {
        let cure = match &self.kind {
            Kind::Bytes(_) => "write bytes as 4096, 64KiB, 16MiB or 1GiB (K is 1024)",
            Kind::Duration(_) => "write a time as 500ms, 25s, 2m or 1h",
            Kind::CountOrAuto(_) => "write a whole number, or auto",
            _ => "write a whole number",
        };
        Refusal {
            cause: error.to_string(),
            cure: format!("{cure}; accepted: {}", self.accepts()),
        }
    }

    fn out_of_range(&self, is_low: bool) -> Refusal {
        Refusal {
            cause: format!("is too {}", if is_low { "small" } else { "large" }),
            cure: format!("write a value in the range {}", self.accepts()),
        }
    }
}

impl<C> Number<C> {
    fn accept(&self, config: &mut C, value: u64, knob: &Knob<C>) -> Result<(), Refusal> {
        let is_zero = value == 0 && self.zero.is_some();
        if !is_zero && !(self.min..=self.max).contains(&value) {
            return Err(knob.out_of_range(value < self.min));
        }
        (self.write)(config, value);
        Ok(())
    }

    fn accepts(&self, show: impl Fn(u64) -> String) -> String {
        let range = format!("{} to {}", show(self.min), show(self.max));
        match self.zero {
            Some(meaning) => format!("{range}, or 0 ({meaning})"),
            None => range,
        }
    }
}

impl<C> Tally<C> {
    fn accept(&self, config: &mut C, text: &str, knob: &Knob<C>) -> Result<(), Refusal> {
        if text == AUTO {
            (self.write)(config, Count::Auto);
            return Ok(());
        }
        let value = quantity::parse_count(text).map_err(|e| knob.unreadable(e))?;
        match u32::try_from(value) {
            Ok(n) if (self.min..=self.max).contains(&n) => {
                (self.write)(config, Count::Exactly(n));
                Ok(())
            }
            _ => Err(knob.out_of_range(value < u64::from(self.min))),
        }
    }
}

impl<C> Toggle<C> {
    fn accept(&self, config: &mut C, text: &str) -> Result<(), Refusal> {
        let is_on = match text {
            "on" | "true" => true,
            "off" | "false" => false,
            _ => {
                return Err(Refusal {
                    cause: "is neither on nor off".to_owned(),
                    cure: "write on or off".to_owned(),
                });
            }
        };
        (self.write)(config, is_on);
        Ok(())
    }
}

impl<C> Choice<C> {
    fn accept(&self, config: &mut C, text: &str) -> Result<(), Refusal> {
        if (self.write)(config, text) {
            return Ok(());
        }
        let words = self.words.join(", ");
        let cure = match nearest(text, self.words.iter().copied()) {
            Some(word) => format!("did you mean {word}? accepted: {words}"),
            None => format!("accepted: {words}"),
        };
        Err(Refusal {
            cause: "is not one of the choices".to_owned(),
            cure,
        })
    }
}

impl<T: PartialEq + fmt::Display, C> List<T, C> {
    fn accept(
        &self,
        config: &mut C,
        text: &str,
        entry: Result<T, (String, String)>,
        full: &str,
    ) -> Result<(), Refusal> {
        if self.none == Some(text) {
            (self.slot)(config).clear();
            return Ok(());
        }
        let (cause, cure) = match entry {
            Ok(entry) if (self.read)(config).contains(&entry) => {
                ("is listed twice".to_owned(), "name each once".to_owned())
            }
            Ok(_) if (self.read)(config).len() == LIST_ENTRIES_MAX => (
                format!("is one more than the {LIST_ENTRIES_MAX} there can be"),
                full.to_owned(),
            ),
            Ok(entry) => {
                (self.slot)(config).push(entry);
                return Ok(());
            }
            Err(refusal) => refusal,
        };
        Err(Refusal { cause, cure })
    }

    fn show(&self, config: &C) -> String {
        let shown: Vec<_> = (self.read)(config).iter().map(T::to_string).collect();
        match self.none {
            Some(none) if shown.is_empty() => none.to_owned(),
            _ => shown.join(", "),
        }
    }
}

impl<C> Door<C> {
    fn accept(&self, config: &mut C, text: &str) -> Result<(), Refusal> {
        let endpoint = match text {
            "off" | "false" => None,
            _ => Some(text.parse::<Endpoint>().map_err(|error| Refusal {
                cause: error.to_string(),
                cure: format!("{}; or off", error.cure(text)),
            })?),
        };
        (self.write)(config, endpoint);
        Ok(())
    }
}

impl<C> Shelf<C> {
    /// A slash or a dot is asked for so that a forgotten value (`--admin-key-file --page off`) or a key in the
    /// place of its file is noticed, and is not repeated in what is said about it.
    fn accept(&self, config: &mut C, text: &str, knob: &Knob<C>) -> Result<(), Refusal> {
        let path = match text {
            _ if text == self.word => None,
            _ if text.contains(['/', '.']) && !text.contains('\0') => Some(PathBuf::from(text)),
            _ => {
                return Err(Refusal {
                    cause: format!("is no path, and not {}", self.word),
                    cure: format!("write it with its directory: {}", knob.example),
                });
            }
        };
        (self.write)(config, path);
        Ok(())
    }
}

/// How an address is written.
const ENDPOINT_FORMS: &str = "ip:port, [ipv6]:port, :port, unix:/path";
/// The word that leaves a number to the server.
const AUTO: &str = "auto";
/// The two positions of a switch, indexed by it.
const SWITCH: [&str; 2] = ["off", "on"];
/// Every worker opens every listener, so this is multiplied by the cores; 64 is plenty for people.
pub(super) const LIST_ENTRIES_MAX: usize = 64;
