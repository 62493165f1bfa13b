//! The answers to a request that does not become a WebSocket.

use crate::http1::{HeadError, append_response};

/// A refused opening request: what to answer before hanging up.
///
/// All of it is fixed text. Nothing of the request is ever reflected, so nothing can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Headers beside `Content-Type`, `Content-Length` and, unless one is here, `Connection: close`.
    pub headers: &'static [(&'static str, &'static str)],
    /// Text for whoever reads the answer. A response to HEAD must have none.
    pub body: &'static str,
}

impl Refusal {
    /// A GET that asks for no upgrade: somebody opened the endpoint in a browser or with curl.
    pub const NOT_AN_UPGRADE: Self = Self {
        status: 426,
        headers: UPGRADE_HEADERS,
        body: "This is a WebSocket endpoint, and this was a plain HTTP request.\n\
               Connect with a WebSocket client, for example:\n\n  \
               websocat ws://HOST/\n  \
               new WebSocket(\"ws://HOST/\")    (in a browser's console)\n\n\
               If you did: a proxy in between dropped the headers Upgrade and Connection.\n",
    };
    /// Anything but GET.
    pub const METHOD: Self = refusal(
        405,
        &[("Allow", "GET")],
        "A WebSocket is opened with GET.\n",
    );
    /// HEAD, whose answer has no body.
    pub const METHOD_HEAD: Self = refusal(405, &[("Allow", "GET")], "");
    /// An upgrade over HTTP/1.0, which has none.
    pub const HTTP_1_0: Self = refusal(
        400,
        &[],
        "HTTP/1.0 knows no upgrade. If a proxy is in front of this server, make it speak HTTP/1.1 upstream.\n",
    );
    /// A GET that announces a body: its bytes would be taken for frames.
    pub const BODY: Self = refusal(400, &[], "A WebSocket handshake has no body.\n");
    /// `Upgrade: websocket` is there, `Connection: Upgrade` is not.
    pub const CONNECTION: Self = refusal(
        400,
        &[],
        "The header Connection does not name Upgrade; a proxy in between may have replaced it.\n",
    );
    /// Another `Sec-WebSocket-Version`, none, or several.
    pub const VERSION: Self = Self {
        status: 426,
        headers: UPGRADE_HEADERS,
        body: "This server speaks WebSocket version 13 (RFC 6455).\n",
    };
    /// No key, several, or one that is not 16 bytes in base64.
    pub const KEY: Self = refusal(
        400,
        &[],
        "Sec-WebSocket-Key must be there once: 16 bytes in base64, 24 characters.\n",
    );
    /// `Sec-WebSocket-Protocol` that is no list of tokens.
    pub const PROTOCOLS: Self = refusal(
        400,
        &[],
        "Sec-WebSocket-Protocol must be a list of tokens.\n",
    );
    /// More `Sec-WebSocket-Extensions` than [`EXTENSIONS_BYTES_MAX`](super::EXTENSIONS_BYTES_MAX).
    pub const EXTENSIONS: Self = refusal(431, &[], "Sec-WebSocket-Extensions is too long.\n");
    /// Two `Origin` headers: no browser sends that, and an allow-list must not be asked about half of it.
    pub const ORIGIN_TWICE: Self = refusal(400, &[], "There is more than one Origin.\n");
    /// An origin that is not on the allow-list; the caller's decision.
    pub const ORIGIN: Self = refusal(403, &[], "This origin may not connect here.\n");
    /// A path that leads nowhere; the caller's decision.
    pub const NOT_FOUND: Self = refusal(404, &[], "There is no WebSocket endpoint at this path.\n");
    /// The head did not arrive in time; the caller's decision.
    pub const TIMEOUT: Self = refusal(408, &[], "The request head did not arrive in time.\n");

    /// Appends the whole response.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        // Enough for the longest of the tables above.
        let mut headers = [("Content-Type", "text/plain; charset=utf-8"); 6];
        let mut used = 1;
        for &header in self.headers.iter().take(headers.len() - 2) {
            headers[used] = header;
            used += 1;
        }
        let names_connection = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case("connection");
        if !self.headers.iter().any(names_connection) {
            headers[used] = ("Connection", "close");
            used += 1;
        }
        let written = append_response(out, self.status, &headers[..used], self.body.as_bytes());
        debug_assert!(
            written.is_ok(),
            "a refusal's headers are literals in our own source"
        );
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        refusal(error.status(), &[], error.explanation())
    }
}

const fn refusal(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Refusal {
    Refusal {
        status,
        headers,
        body,
    }
}

/// A 426 names what to upgrade to (RFC 9110 15.5.22), and the version with it (RFC 6455 4.4).
const UPGRADE_HEADERS: &[(&str, &str)] = &[
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade, close"),
    ("Sec-WebSocket-Version", "13"),
];
