//! The page at `/`: a small chat with live figures, to see at a glance that a server works.
//!
//! Everything it needs is in the binary, and it asks nobody else for anything: no fonts, no scripts from
//! elsewhere, nothing inline, so that its policy can forbid all of that. It speaks to the server through
//! the official client of Centrifugo for JavaScript, as an application would. That file is npm
//! `centrifuge` 5.8.0, `dist/centrifuge.js`, as published; its licence (MIT) lies beside it.

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The `Content-Type`, and what else to say about it.
    pub headers: &'static [(&'static str, &'static str)],
    /// The file.
    pub body: &'static str,
}

/// The file at this path, if it is one of the page's.
pub fn answer(path: &str) -> Option<Asset> {
    let (headers, body): (&[_], _) = match path {
        "/" => (HTML, include_str!("assets/index.html")),
        "/page/page.css" => (CSS, include_str!("assets/page.css")),
        "/page/page.js" => (SCRIPT, include_str!("assets/page.js")),
        "/page/icon.svg" => (ICON, include_str!("assets/icon.svg")),
        "/page/centrifuge-5.8.0.js" => (LIBRARY, include_str!("assets/centrifuge-5.8.0.js")),
        _ => return None,
    };
    Some(Asset { headers, body })
}

/// Nothing from elsewhere, nothing inline, in nobody's frame. `'self'` is the WebSocket of the same host,
/// too (CSP level 3).
const POLICY: (&str, &str) = (
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// What changes with the server's version is asked for each time.
const FRESH: (&str, &str) = ("Cache-Control", "no-cache");
/// What has its version in its name never changes.
const KEPT: (&str, &str) = ("Cache-Control", "public, max-age=31536000, immutable");
const PLAIN: (&str, &str) = ("X-Content-Type-Options", "nosniff");
/// A token in the address stays there: no page we link to hears of it.
const SILENT: (&str, &str) = ("Referrer-Policy", "no-referrer");

type Headers = &'static [(&'static str, &'static str)];

const HTML: Headers = &[
    ("Content-Type", "text/html; charset=utf-8"),
    POLICY,
    FRESH,
    PLAIN,
    SILENT,
];
const CSS: Headers = &[("Content-Type", "text/css; charset=utf-8"), FRESH, PLAIN];
const SCRIPT: Headers = &[("Content-Type", JAVASCRIPT), FRESH, PLAIN];
const LIBRARY: Headers = &[("Content-Type", JAVASCRIPT), KEPT, PLAIN];
const ICON: Headers = &[("Content-Type", "image/svg+xml"), FRESH, PLAIN];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("assets/index.html");

    /// Values of attributes that name a file.
    fn references() -> impl Iterator<Item = &'static str> {
        let values = ["src=\"", "href=\""]
            .into_iter()
            .flat_map(|name| PAGE.split(name).skip(1));
        let values = values.filter_map(|rest| rest.split('"').next());
        values.filter(|value| !value.starts_with('#'))
    }

    #[test]
    fn the_page_has_all_it_refers_to_and_refers_to_nobody_else() {
        assert!(references().count() > 5);
        for path in references() {
            assert!(answer(path).is_some(), "{path}");
        }
        for path in [
            "",
            "/page",
            "/page/",
            "/page/../page.js",
            "/index.html",
            "/page/page.css/",
        ] {
            assert_eq!(answer(path), None, "{path}");
        }
    }

    /// What the policy forbids is not there, so that nothing is silently missing.
    #[test]
    fn nothing_is_inline() {
        for forbidden in [" style=", " onclick=", "<style", "javascript:", "<script>"] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
        let script = include_str!("assets/page.js");
        // The name of a language, and the example for curl.
        let script = script.replace("'http://www.w3.org/2000/svg'", "");
        let script = script.replace("http://${location.hostname}:9001/api/publish", "");
        for text in [&script[..], include_str!("assets/page.css"), PAGE] {
            for forbidden in ["http://", "https://", "innerHTML", "eval(", "@import"] {
                assert!(!text.contains(forbidden), "{forbidden}");
            }
        }
    }

    #[test]
    fn the_client_is_the_one_that_was_published() {
        let client = answer("/page/centrifuge-5.8.0.js")
            .expect("it is there")
            .body;
        assert_eq!(client.len(), 95_916);
        assert!(client.contains("globalThis.Centrifuge="));
        assert!(include_str!("assets/centrifuge-5.8.0.LICENSE").contains("MIT License"));
    }
}
