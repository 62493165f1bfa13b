//! Finding where a head ends, at a cost linear in its bytes however they arrive.
//!
//! Every byte is looked at once: the position is the caller's and survives between reads. (Parsing
//! from the start on each read is quadratic; RUSTSEC-2023-0065 is what that costs.) Looking at every
//! byte also lets us refuse what can never become a head at its first wrong byte, not at a timeout.

use super::HeadError;

/// The bytes of a complete head, without the empty line that may precede a request.
pub(super) struct Extent {
    pub(super) start: usize,
    /// After the empty line that ends the head.
    pub(super) end: usize,
}

/// Looks for the end of the head in `bytes[*scanned..]`; `None` asks for more bytes.
///
/// Only the first `head_bytes_max` bytes count, so that the verdict does not depend on how much
/// happened to arrive behind them.
pub(super) fn find_end(
    bytes: &[u8],
    scanned: &mut usize,
    head_bytes_max: usize,
) -> Result<Option<Extent>, HeadError> {
    let window = &bytes[..bytes.len().min(head_bytes_max)];
    let mut at = (*scanned).min(window.len());
    // A caller that only remembers how many bytes it had may have stopped between CR and LF.
    if at > 0 && window[at - 1] == b'\r' {
        at -= 1;
    }
    loop {
        at += plain_run(&window[at..]);
        let Some(&byte) = window.get(at) else {
            break;
        };
        match byte {
            b'\r' => match window.get(at + 1) {
                Some(b'\n') => {
                    if let Some(end) = end_of_line(window, at)? {
                        *scanned = end;
                        let start = leading_empty_line(window);
                        return Ok(Some(Extent { start, end }));
                    }
                    at += 2;
                }
                Some(_) => return Err(HeadError::BareCarriageReturn),
                None => break,
            },
            b'\n' => return Err(HeadError::BareLineFeed),
            b'\t' | b' '..=0x7e | 0x80.. => at += 1,
            _ => return Err(HeadError::ControlByte),
        }
    }
    *scanned = at;
    if bytes.len() < head_bytes_max {
        return Ok(None);
    }
    let first_line = &window[leading_empty_line(window)..];
    Err(if first_line.contains(&b'\n') {
        HeadError::HeadTooLong
    } else {
        HeadError::TargetTooLong
    })
}

/// How many bytes at the front are text, not told further than the last whole eight.
///
/// Most of a head goes through here, at an eighth of the steps; and a step does not wait for the one
/// before, as long as the CPU guesses that the line goes on.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    let mut run = 0;
    for word in bytes.as_chunks().0 {
        let plain = plain_bytes(word);
        run += plain;
        if plain < 8 {
            break;
        }
    }
    run
}

/// How many of eight bytes come before the first control byte or DEL. A tab is one of them, and
/// looked at by the caller; lines of tabs only cost time.
#[inline]
fn plain_bytes(bytes: &[u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(*bytes);
    // The high bit of a byte appears where subtracting made it borrow and it was clear before. A
    // borrow can wrongly mark bytes behind the first that is marked, never one before it.
    let below_blank = word.wrapping_sub(0x20 * ONES) & !word;
    let from_del = word ^ (0x7f * ONES);
    let is_del = from_del.wrapping_sub(ONES) & !from_del;
    let marked = (below_blank | is_del) & (0x80 * ONES);
    marked.trailing_zeros() as usize / 8
}

/// A line ended at `at`: is it the empty one that ends the head? Says where the head then ends.
fn end_of_line(window: &[u8], at: usize) -> Result<Option<usize>, HeadError> {
    match at {
        // RFC 9112 2.2: one empty line before the request line is forgiven (old clients send one
        // after a body), more are not: they would let a peer hold the connection with nothing.
        0 => Ok(None),
        2 if window[1] == b'\n' => Err(HeadError::EmptyLines),
        _ if window[at - 1] == b'\n' => Ok(Some(at + 2)),
        _ => Ok(None),
    }
}

fn leading_empty_line(window: &[u8]) -> usize {
    if window.starts_with(b"\r\n") { 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_at_a_time_equals_one_at_a_time() {
        let naive = |byte: &u8| *byte < 0x20 || *byte == 0x7f;
        // Every byte at every place, among neighbours that could hide it by a borrow or a carry.
        for neighbour in [0x20, 0x21, 0x7e, 0x80, 0xff, 0x7f, 0x1f, 0x00] {
            for byte in 0..=u8::MAX {
                for place in 0..8 {
                    let mut bytes = [neighbour; 8];
                    bytes[place] = byte;
                    let expected = bytes.iter().position(naive).unwrap_or(8);
                    assert_eq!(plain_bytes(&bytes), expected, "{bytes:x?}");
                    // And as the first of its kind, whatever follows.
                    bytes[..place].fill(b'a');
                    let expected = bytes.iter().position(naive).unwrap_or(8);
                    assert_eq!(plain_bytes(&bytes), expected, "{bytes:x?}");
                }
            }
        }
    }
}
