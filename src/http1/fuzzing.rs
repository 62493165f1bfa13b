//! Properties that hold for every input: one line of fuzz target each, and seeds under `cargo test`.

use super::{Head, HeadError, Headers, ResponseHead, parse_head, parse_response_head};

/// Heads in fuzzing stay small, so that the limit itself is reached often.
const HEAD_BYTES_MAX: usize = 1024;

/// A request head: no panic, the same verdict however the bytes arrive, and what was read says the
/// same when it is written down and read again.
pub fn request_head(bytes: &[u8]) {
    let whole = parse_head(bytes, &mut 0, HEAD_BYTES_MAX);
    assert_eq!(
        whole.map(|found| found.map(|(head, length)| (print_request(&head), length))),
        stepwise(bytes, |prefix, scanned| {
            let found = parse_head(prefix, scanned, HEAD_BYTES_MAX)?;
            Ok(found.map(|(head, length)| (print_request(&head), length)))
        })
    );
    let Ok(Some((head, length))) = whole else {
        return;
    };
    assert!(length <= bytes.len().min(HEAD_BYTES_MAX));
    assert!(head.path().starts_with(['/', '*']));
    assert!(
        head.query()
            .is_none_or(|query| head.target.ends_with(query))
    );
    check_questions(head.headers(), |name| {
        (head.header(name), head.header_all(name).collect())
    });
    let printed = print_request(&head);
    let (again, length) = parse_head(printed.as_bytes(), &mut 0, usize::MAX)
        .expect("what was accepted once is accepted again")
        .expect("a printed head is complete");
    assert_eq!(length, printed.len());
    assert_eq!(print_request(&again), printed);
}

/// A response head: the same properties.
pub fn response_head(bytes: &[u8]) {
    let whole = parse_response_head(bytes, &mut 0, HEAD_BYTES_MAX);
    assert_eq!(
        whole.map(|found| found.map(|(head, length)| (print_response(&head), length))),
        stepwise(bytes, |prefix, scanned| {
            let found = parse_response_head(prefix, scanned, HEAD_BYTES_MAX)?;
            Ok(found.map(|(head, length)| (print_response(&head), length)))
        })
    );
    let Ok(Some((head, _))) = whole else { return };
    check_questions(head.headers(), |name| {
        (head.header(name), head.header_all(name).collect())
    });
    let printed = print_response(&head);
    let (again, _) = parse_response_head(printed.as_bytes(), &mut 0, usize::MAX)
        .expect("what was accepted once is accepted again")
        .expect("a printed head is complete");
    assert_eq!(print_response(&again), printed);
}

/// However a head finds a header, it finds what a walk over all lines finds.
fn check_questions<'b>(
    headers: Headers<'b>,
    ask: impl Fn(&str) -> (Option<&'b str>, Vec<&'b str>),
) {
    let named = headers.map(|(name, _)| name);
    for name in named.chain([
        "host",
        "Upgrade",
        "SEC-WEBSOCKET-KEY",
        "content-length",
        "x",
    ]) {
        let walked = headers.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let walked: Vec<_> = walked.map(|(_, value)| value).collect();
        let only = match walked[..] {
            [value] => Some(value),
            _ => None,
        };
        assert_eq!(ask(name), (only, walked), "{name}");
    }
}

/// What a parser says that is given one byte more each time, until it says anything.
fn stepwise<T>(
    bytes: &[u8],
    mut parse: impl FnMut(&[u8], &mut usize) -> Result<Option<T>, HeadError>,
) -> Result<Option<T>, HeadError> {
    let mut scanned = 0;
    for length in 0..=bytes.len() {
        match parse(&bytes[..length], &mut scanned) {
            Ok(None) => {
                assert!(scanned <= length, "nothing is scanned before it is there");
                // Both ways to remember the position are promised to work.
                if length % 2 == 0 {
                    scanned = length;
                }
            }
            verdict => return verdict,
        }
    }
    Ok(None)
}

fn print_request(head: &Head<'_>) -> String {
    let mut text = format!(
        "{} {} HTTP/1.{}\r\n",
        head.method, head.target, head.version_minor
    );
    for (name, value) in head.headers() {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text + "\r\n"
}

fn print_response(head: &ResponseHead<'_>) -> String {
    let mut text = format!("HTTP/1.{} {:03}\r\n", head.version_minor, head.status);
    for (name, value) in head.headers() {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text + "\r\n"
}
