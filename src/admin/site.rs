//! What there is on the admin port, and who may have it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::api::{Api, Method};
use super::conversation::BODY_BYTES_MAX;
use super::exposition::Kind;
use super::guests::Guests;
use super::{ApiKey, Exposition, Host};
use crate::http1::{Head, has_token};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Everything that is on the admin port.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) host: Arc<dyn Host>,
    pub(super) api: Api,
    pub(super) key: Option<ApiKey>,
    pub(super) guests: Arc<Guests>,
    /// Answers by the first digit of their status, 2 to 5.
    pub(super) answers: [AtomicU64; 4],
}

/// Places on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Index,
    Live,
    Ready,
    Metrics,
    Stats,
    Api(Method),
}

/// A request, as far as its head tells.
#[derive(Debug)]
pub(super) struct Ask {
    route: Route,
    /// An answer to HEAD is that to GET without its body.
    pub(super) is_head: bool,
    pub(super) body_len: usize,
    pub(super) expects_continue: bool,
    /// Whether the client wants to ask again on this connection.
    pub(super) stays: bool,
    /// Errors of the API are told by the status, too.
    by_status: bool,
    /// The answer, if the head is enough for one.
    pub(super) refusal: Option<Page>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Cow<'static, [u8]>,
}

impl Page {
    /// One sentence for the person who reads it.
    pub(super) fn refusal(status: u16, sentence: &str) -> Self {
        Self::text(status, format!("{sentence}\n"))
    }

    fn text(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        let body = match body.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self {
            status,
            content_type: TEXT,
            body,
        }
    }

    fn health(verdict: Result<(), String>) -> Self {
        match verdict {
            Ok(()) => Self::text(200, "ok\n"),
            Err(why) => Self::refusal(503, &why),
        }
    }
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Index,
            "/healthz/live" => Self::Live,
            "/healthz/ready" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/stats" => Self::Stats,
            _ => Self::Api(Method::of(path.strip_prefix("/api/")?)?),
        })
    }

    fn allows(self, method: &str) -> bool {
        match self {
            Self::Api(_) => method == "POST",
            _ => matches!(method, "GET" | "HEAD"),
        }
    }
}

impl Site {
    /// Decides what is to become of a request.
    pub(super) fn judge(&self, head: &Head<'_>) -> Ask {
        let route = Route::of(head.path());
        let header_has = |name, token| has_token(head.header_all(name), token);
        let refusal = match route {
            None => Some(Page::text(404, NOT_FOUND)),
            Some(route) if !route.allows(head.method) => {
                let sentence = match route {
                    Route::Api(_) => "Use POST.",
                    _ => "Use GET.",
                };
                Some(Page::refusal(405, sentence))
            }
            Some(Route::Api(_)) if self.key.is_none() => Some(Page::refusal(401, NO_KEY)),
            Some(Route::Api(_)) if !self.opens(head) => Some(Page::refusal(401, WRONG_KEY)),
            Some(_) if head.content_length() > BODY_BYTES_MAX => {
                Some(Page::refusal(413, "A body has 8 MiB at most."))
            }
            Some(_) => None,
        };
        Ask {
            route: route.unwrap_or(Route::Index),
            is_head: head.method == "HEAD",
            // Beyond the limit it was refused above, and is not read.
            body_len: usize::try_from(head.content_length()).unwrap_or(usize::MAX),
            expects_continue: header_has("expect", "100-continue"),
            stays: head.version_minor == 1 && !header_has("connection", "close"),
            by_status: header_has("x-centrifugo-error-mode", "transport"),
            refusal,
        }
    }

    /// Whether a request brings the key: `X-API-Key: KEY` or `Authorization: apikey KEY`. Not in the
    /// query, where proxies would log it.
    fn opens(&self, head: &Head<'_>) -> bool {
        let authorization = head.header("authorization").and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("apikey").then_some(key.trim())
        });
        let offered = head.header("x-api-key").or(authorization);
        let is_right = |(key, offered): (&ApiKey, &str)| key.is(offered);
        self.key.as_ref().zip(offered).is_some_and(is_right)
    }

    /// Does what was asked.
    pub(super) fn serve(&self, ask: &Ask, body: &[u8]) -> Page {
        match ask.route {
            Route::Index => Page::text(200, INDEX),
            Route::Live => Page::health(self.host.liveness()),
            Route::Ready => Page::health(self.host.readiness()),
            Route::Stats => Page {
                content_type: JSON,
                ..Page::text(200, self.host.stats())
            },
            Route::Metrics => Page {
                content_type: Exposition::CONTENT_TYPE,
                ..Page::text(200, self.metrics())
            },
            Route::Api(method) => {
                let answer = self.api.answer(method, body, ask.by_status);
                Page {
                    status: answer.status,
                    content_type: JSON,
                    body: answer.body.into(),
                }
            }
        }
    }

    pub(super) fn count(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(2);
        if let Some(count) = self.answers.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn metrics(&self) -> String {
        let mut page = Exposition::default();
        self.host.expose(&mut page);
        self.api.expose(&mut page);
        let meaning = "Answers of the admin port, by class of status.";
        let mut family = page.family("throng_admin_answers_total", Kind::Counter, meaning);
        for (class, count) in (2..).zip(&self.answers) {
            let class = format!("{class}xx");
            family.sample(&[("status", &class)], count.load(Ordering::Relaxed));
        }
        let tally = self.guests.tally();
        let meaning = "Connections to the admin port.";
        page.figure(
            "throng_admin_connections",
            Kind::Gauge,
            meaning,
            tally.connections,
        );
        let meaning = "Connections to the admin port that had to leave for others.";
        let name = "throng_admin_connections_evicted_total";
        page.figure(name, Kind::Counter, meaning, tally.evicted);
        let meaning = "Connections to the admin port for which there was no place.";
        let name = "throng_admin_connections_turned_away_total";
        page.figure(name, Kind::Counter, meaning, tally.turned_away);
        page.into_text()
    }
}

const INDEX: &str = "\
This is the admin port of a Throng server:
/metrics        figures for Prometheus
/stats          the same as JSON
/healthz/ready  200 if newcomers may be sent here
/healthz/live   200 if the server should go on living
/api/METHOD     POST, with a key: publish, broadcast, subscribe, unsubscribe, disconnect, refresh,
                presence, presence_stats, history, history_remove, channels, connections, info, batch
";
const NOT_FOUND: &str = "There is nothing here. GET / tells what there is.\n";
const NO_KEY: &str = "The server has no key for the API: start it with --admin-key-file.";
const WRONG_KEY: &str = "The API needs the key: X-API-Key: KEY or Authorization: apikey KEY.";
