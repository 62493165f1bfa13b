//! The HTTP API: commands in, results out, in the shapes of Centrifugo's, so that its SDKs work.
//!
//! ```text
//!  POST /api/publish  {"channel":..}  ── ask ──> Request ── Backend ──> Reply ── tell ──> {"result":{..}}
//!  POST /api/batch    {"commands":[{"publish":{..}}, ..]}          {"replies":[{"publish":{..}}, ..]}
//! ```
//!
//! What goes wrong with a command is said in the body, `{"error":{"code":..,"message":..}}`, under
//! status 200, as those SDKs expect; only a body that cannot be read at all is a 400.

mod ask;
mod error;
mod once;
mod tell;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;

pub(super) use error::ApiError;

use self::ask::Since;
use self::once::{Known, Once};
use super::backend::{Backend, Failure, Publish, Reply, Request};
use super::exposition::Kind;
use super::{Exposition, Host};
use crate::hub::{HistoryPage, HistoryQuery, Position};
use crate::sys::clock;

/// What can be done, by the last part of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Publish,
    Broadcast,
    Subscribe,
    Unsubscribe,
    Disconnect,
    Refresh,
    Presence,
    PresenceStats,
    History,
    HistoryRemove,
    Channels,
    Connections,
    Info,
    Batch,
}

impl Method {
    const ALL: [(Self, &str); 14] = [
        (Self::Publish, "publish"),
        (Self::Broadcast, "broadcast"),
        (Self::Subscribe, "subscribe"),
        (Self::Unsubscribe, "unsubscribe"),
        (Self::Disconnect, "disconnect"),
        (Self::Refresh, "refresh"),
        (Self::Presence, "presence"),
        (Self::PresenceStats, "presence_stats"),
        (Self::History, "history"),
        (Self::HistoryRemove, "history_remove"),
        (Self::Channels, "channels"),
        (Self::Connections, "connections"),
        (Self::Info, "info"),
        (Self::Batch, "batch"),
    ];

    /// The method of that name.
    pub(super) fn of(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, called)| *called == name);
        found.map(|(method, _)| *method)
    }

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// What one command came to: one JSON value, or why not.
type Outcome = Result<Box<RawValue>, ApiError>;

/// Answers commands.
#[derive(Debug)]
pub(super) struct Api {
    backend: Arc<dyn Backend>,
    host: Arc<dyn Host>,
    once: Once,
    uid: String,
    counts: [Count; Method::ALL.len()],
}

#[derive(Debug, Default)]
struct Count {
    all: AtomicU64,
    failed: AtomicU64,
}

/// The answer to a request.
pub(super) struct Answer {
    /// The HTTP status; 200 also for most errors.
    pub(super) status: u16,
    /// One JSON object.
    pub(super) body: Vec<u8>,
}

impl Api {
    pub(super) fn new(backend: Arc<dyn Backend>, host: Arc<dyn Host>, uid: String) -> Self {
        Self {
            backend,
            host,
            once: Once::default(),
            uid,
            counts: Default::default(),
        }
    }

    /// Does what the body of a request asks. With `by_status`, an error is also told by the status.
    pub(super) fn answer(&self, method: Method, body: &[u8], by_status: bool) -> Answer {
        let deadline_ms = clock::monotonic_ms() + REQUEST_MS_MAX;
        // An empty body is what one sends who has nothing to say: `info`, `channels`.
        let params = if body.trim_ascii().is_empty() {
            b"{}"
        } else {
            body
        };
        let outcome = match serde_json::from_slice::<&RawValue>(params) {
            Ok(params) => self.count(method, self.run(method, params, deadline_ms)),
            Err(error) => {
                return Answer {
                    status: 400,
                    body: tell::failed(&ApiError::malformed(&error)),
                };
            }
        };
        match outcome {
            Ok(result) if method == Method::Batch => Answer {
                status: 200,
                body: result.get().as_bytes().to_vec(),
            },
            Ok(result) => Answer {
                status: 200,
                body: tell::done(&result),
            },
            Err(error) => Answer {
                status: if by_status { error.status() } else { 200 },
                body: tell::failed(&error),
            },
        }
    }

    /// What was asked how often, for the page of metrics.
    pub(super) fn expose(&self, page: &mut Exposition) {
        let meaning = "Commands of the HTTP API, those in a batch one by one.";
        let mut family = page.family("throng_api_commands_total", Kind::Counter, meaning);
        for ((_, name), count) in Method::ALL.iter().zip(&self.counts) {
            family.sample(&[("method", name)], count.all.load(Ordering::Relaxed));
        }
        let meaning = "Commands of the HTTP API that were answered with an error.";
        let mut family = page.family("throng_api_errors_total", Kind::Counter, meaning);
        for ((_, name), count) in Method::ALL.iter().zip(&self.counts) {
            family.sample(&[("method", name)], count.failed.load(Ordering::Relaxed));
        }
        self.backend.expose(page);
    }

    fn count(&self, method: Method, outcome: Outcome) -> Outcome {
        let count = &self.counts[method as usize];
        count.all.fetch_add(1, Ordering::Relaxed);
        count
            .failed
            .fetch_add(outcome.is_err().into(), Ordering::Relaxed);
        outcome
    }

    fn run(&self, method: Method, params: &RawValue, deadline_ms: u64) -> Outcome {
        let reply = match (method, ask::request(method, params)?) {
            (_, Some(request)) => self.call(request)?,
            (Method::Batch, None) => return self.batch(&ask::read(params)?, deadline_ms),
            (Method::Broadcast, None) => return self.broadcast(params, deadline_ms),
            (Method::History, None) => self.history(&ask::history(params)?)?,
            (_, None) => {
                let (publish, once) = ask::publication(params)?;
                Reply::Published(self.publish(publish, once.as_deref())?)
            }
        };
        Ok(match reply {
            Reply::Totals(totals) => tell::node(&self.uid, &self.host.vitals(), &totals),
            reply => tell::result(reply),
        })
    }

    fn call(&self, request: Request) -> Result<Reply, ApiError> {
        self.backend.call(request).map_err(ApiError::from)
    }

    /// The same payload to many channels. Each has its own result: one that fails does not take the
    /// others back.
    fn broadcast(&self, params: &RawValue, deadline_ms: u64) -> Outcome {
        let (channels, (publish, once)) = ask::broadcast(params)?;
        let outcomes = channels.iter().map(|channel| {
            in_time(deadline_ms)?;
            let publish = Publish {
                channel: ask::channel_name(channel)?,
                ..publish.clone()
            };
            let position = self.publish(publish, once.as_deref())?;
            Ok(tell::result(Reply::Published(position)))
        });
        Ok(tell::responses(outcomes))
    }

    /// One after the other, `parallel` or not: workers do what is quick, and order is worth more.
    fn batch(&self, batch: &ask::Batch<'_>, deadline_ms: u64) -> Outcome {
        let replies = batch.commands.iter().map(|command| {
            let (name, params) = match command.iter().next() {
                Some((name, params)) if command.len() == 1 => (name, *params),
                _ => return Err(ApiError::bad("a command has one member: its method")),
            };
            // A batch of batches could ask for more than a body can hold.
            let method = Method::of(name).filter(|method| *method != Method::Batch);
            let method = method.ok_or(ApiError::METHOD_NOT_FOUND)?;
            in_time(deadline_ms)?;
            let outcome = self.count(method, self.run(method, params, deadline_ms));
            outcome.map(|result| (method.name(), result))
        });
        Ok(tell::replies(replies))
    }

    fn history(&self, page: &ask::History) -> Result<Reply, ApiError> {
        let ask = |query| {
            let channel = page.channel.clone();
            self.call(Request::History { channel, query })
        };
        let since = match page.since {
            // Without an epoch, the offset counts in whatever epoch it is now.
            Some(Since::Anytime(offset)) => {
                let nothing = HistoryQuery {
                    limit: Some(0),
                    ..HistoryQuery::default()
                };
                let Reply::History(HistoryPage { position, .. }) = ask(nothing)? else {
                    return Err(ApiError::INTERNAL);
                };
                Some(Position { offset, ..position })
            }
            Some(Since::Position(position)) => Some(position),
            None => None,
        };
        ask(HistoryQuery {
            limit: Some(page.limit),
            since,
            reverse: page.reverse,
        })
    }

    /// Publishes, unless the same key has done so in the same channel a short time ago.
    fn publish(&self, publish: Publish, key: Option<&str>) -> Result<Option<Position>, ApiError> {
        let now_ms = clock::monotonic_ms();
        let ticket = match key.map(|key| self.once.enter(&publish.channel, key, now_ms)) {
            None => None,
            Some(Known::Never(ticket)) => Some(ticket),
            Some(Known::Done(position)) => return Ok(position),
            Some(Known::UnderWay) => return Err(ApiError::TOO_MANY),
        };
        // If it fails, the ticket's end forgets the key: it may be tried again.
        match self.call(Request::Publish(publish))? {
            Reply::Published(position) => {
                if let Some(ticket) = ticket {
                    ticket.keep(position, now_ms);
                }
                Ok(position)
            }
            _ => Err(ApiError::INTERNAL),
        }
    }
}

fn in_time(deadline_ms: u64) -> Result<(), ApiError> {
    if clock::monotonic_ms() < deadline_ms {
        return Ok(());
    }
    Err(Failure::Late.into())
}

/// How long all commands of one request may take. What comes later is not tried.
const REQUEST_MS_MAX: u64 = 20_000;
