//! One client, one thread: request, answer, request, until somebody has enough.
//!
//! ```text
//!  idle ──first byte──> head ──> judged ──> body ──> served ──> answer ──> idle
//!    │ IDLE_MS            │ HEAD_MS  │ refused: no body is read   │ ANSWER_MS
//!    └────────> part <────┴──────────┴────────────────────────────┘
//! ```
//!
//! Everything is decided from the head, the key among it, before a byte of a body is kept: what a
//! stranger can make us hold is a head.

use super::guests::Guest;
use super::site::{Ask, Page, Site};
use super::wire::{Gone, Wire};
use crate::http1::{HeadError, append_response, parse_head};
use crate::sys::clock;

/// Largest body. A publication of `--max-message` and its wrapping, several times over.
pub(super) const BODY_BYTES_MAX: u64 = 8 << 20;
/// Largest head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a connection may rest between requests. SDKs keep theirs open; a scrape comes every 15 s.
const IDLE_MS: u64 = 75_000;
/// From the first byte of a request to the end of its head.
const HEAD_MS: u64 = 5_000;
/// From the end of the head to the end of the body.
const BODY_MS: u64 = 15_000;
/// For an answer to be taken.
const ANSWER_MS: u64 = 15_000;
/// For a goodbye.
const PART_MS: u64 = 1_000;

/// Serves one client until it leaves, has to, or is too slow.
pub(super) fn converse(guest: &Guest, site: &Site) {
    let mut wire = Wire::new(&guest.socket);
    while let Ok(true) = exchange(&mut wire, guest, site) {
        guest.wait();
    }
    guest.wait();
    wire.part(within_ms(PART_MS));
}

/// One request and its answer; whether there may be another.
fn exchange(wire: &mut Wire<'_>, guest: &Guest, site: &Site) -> Result<bool, Gone> {
    let ask = match receive_head(wire, site)? {
        Ok(ask) => ask,
        Err(error) => {
            let page = Page::refusal(error.status(), error.explanation());
            answer(wire, site, &page, false, false)?;
            return Ok(false);
        }
    };
    let (page, stays) = match &ask.refusal {
        // The body, if there is one, is not read; then nothing behind it can be, either.
        Some(page) => (page.clone(), ask.stays && ask.body_len == 0),
        None => {
            let body = receive_body(wire, &ask)?;
            guest.serve();
            let page = site.serve(&ask, &body);
            guest.wait();
            (page, ask.stays)
        }
    };
    answer(wire, site, &page, ask.is_head, stays)?;
    Ok(stays)
}

fn receive_head(wire: &mut Wire<'_>, site: &Site) -> Result<Result<Ask, HeadError>, Gone> {
    if wire.inbox.is_empty() {
        wire.fill(within_ms(IDLE_MS))?;
    }
    let deadline_ms = within_ms(HEAD_MS);
    let mut scanned = 0;
    loop {
        match parse_head(&wire.inbox, &mut scanned, HEAD_BYTES_MAX) {
            Err(error) => return Ok(Err(error)),
            Ok(None) => wire.fill(deadline_ms)?,
            Ok(Some((head, length))) => {
                let ask = site.judge(&head);
                wire.inbox.drain(..length);
                return Ok(Ok(ask));
            }
        }
    }
}

/// The body that was announced; what came behind it stays for the next request.
fn receive_body(wire: &mut Wire<'_>, ask: &Ask) -> Result<Vec<u8>, Gone> {
    let deadline_ms = within_ms(BODY_MS);
    if ask.expects_continue && wire.inbox.is_empty() && ask.body_len > 0 {
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n", deadline_ms)?;
    }
    while wire.inbox.len() < ask.body_len {
        wire.fill(deadline_ms)?;
    }
    let rest = wire.inbox.split_off(ask.body_len);
    Ok(std::mem::replace(&mut wire.inbox, rest))
}

fn answer(
    wire: &Wire<'_>,
    site: &Site,
    page: &Page,
    is_head: bool,
    stays: bool,
) -> Result<(), Gone> {
    site.count(page.status);
    let mut bytes = Vec::with_capacity(page.body.len() + 256);
    let mut headers = vec![
        ("Content-Type", page.content_type),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ];
    if page.status == 401 {
        headers.push(("WWW-Authenticate", "apikey"));
    }
    if !stays {
        headers.push(("Connection", "close"));
    }
    append_response(&mut bytes, page.status, &headers, &page.body)
        .expect("our own headers hold no control bytes");
    if is_head {
        bytes.truncate(bytes.len() - page.body.len());
    }
    wire.send(&bytes, within_ms(ANSWER_MS))
}

fn within_ms(ms: u64) -> u64 {
    clock::monotonic_ms() + ms
}
