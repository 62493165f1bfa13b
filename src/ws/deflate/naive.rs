//! RFC 1951 word for word, one bit at a time: what the fast engines are measured against. It also
//! knows what they do not tell: how far back the stream refers.

/// A whole stream, up to the end of its last block or of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inflated {
    pub(super) text: Vec<u8>,
    pub(super) distance_max: usize,
}

/// Inflates a message's payload as it travels (without its tail). `None` if it is no such thing.
pub(super) fn inflate(payload: &[u8], history: &[u8]) -> Option<Inflated> {
    let bytes = [payload, &super::TAIL].concat();
    let mut bits = Bits {
        bytes: &bytes,
        at: 0,
    };
    let mut text = history.to_vec();
    let mut distance_max = 0;
    while bits.at < 8 * bytes.len() {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, &mut text)?,
            1 => {
                let (literals, distances) = fixed();
                coded(
                    &mut bits,
                    &literals,
                    &distances,
                    &mut text,
                    &mut distance_max,
                )?;
            }
            2 => {
                let (literals, distances) = dynamic(&mut bits)?;
                coded(
                    &mut bits,
                    &literals,
                    &distances,
                    &mut text,
                    &mut distance_max,
                )?;
            }
            _ => return None,
        }
        if is_last {
            bits.at = bits.at.next_multiple_of(8);
        }
    }
    Some(Inflated {
        text: text.split_off(history.len()),
        distance_max,
    })
}

struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next bits, the first of them the lowest.
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for shift in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << shift;
            self.at += 1;
        }
        Some(value)
    }
}

/// Codes by length: `(length, code, symbol)`.
type Table = Vec<(usize, usize, usize)>;

/// RFC 1951 3.2.2.
fn table(lengths: &[usize]) -> Table {
    let (mut codes, mut code) = (Vec::new(), 0);
    for length in 1..=15 {
        for (symbol, _) in lengths.iter().enumerate().filter(|(_, l)| **l == length) {
            codes.push((length, code, symbol));
            code += 1;
        }
        code <<= 1;
    }
    codes
}

fn symbol(bits: &mut Bits<'_>, codes: &Table) -> Option<usize> {
    let (mut code, mut length) = (0, 0);
    while length < 15 {
        code = code << 1 | bits.take(1)?;
        length += 1;
        if let Some(found) = codes.iter().find(|c| (c.0, c.1) == (length, code)) {
            return Some(found.2);
        }
    }
    None
}

fn stored(bits: &mut Bits<'_>, text: &mut Vec<u8>) -> Option<()> {
    bits.at = bits.at.next_multiple_of(8);
    let (length, complement) = (bits.take(16)?, bits.take(16)?);
    if length != !complement & 0xffff {
        return None;
    }
    for _ in 0..length {
        text.push(bits.take(8)? as u8);
    }
    Some(())
}

fn fixed() -> (Table, Table) {
    let lengths: Vec<usize> = (0..288)
        .map(|symbol| match symbol {
            0..=143 => 8,
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        })
        .collect();
    (table(&lengths), table(&[5; 30]))
}

fn dynamic(bits: &mut Bits<'_>) -> Option<(Table, Table)> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let (literals, distances) = (257 + bits.take(5)?, 1 + bits.take(5)?);
    let mut code_lengths = [0; 19];
    for &position in &ORDER[..4 + bits.take(4)?] {
        code_lengths[position] = bits.take(3)?;
    }
    let codes = table(&code_lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (value, times) = match symbol(bits, &codes)? {
            16 => (*lengths.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(value, times));
    }
    let (literals, distances) = lengths.split_at(literals);
    Some((table(literals), table(distances)))
}

fn coded(
    bits: &mut Bits<'_>,
    literals: &Table,
    distances: &Table,
    text: &mut Vec<u8>,
    distance_max: &mut usize,
) -> Option<()> {
    loop {
        let length = match symbol(bits, literals)? {
            256 => return Some(()),
            literal @ 0..=255 => {
                text.push(literal as u8);
                continue;
            }
            285 => 258,
            code @ 257..=264 => code - 254,
            code @ 265..=284 => {
                let extra = (code - 261) / 4;
                3 + ((4 + (code - 265) % 4) << extra) + bits.take(extra)?
            }
            _ => return None,
        };
        let distance = match symbol(bits, distances)? {
            code @ 0..=3 => 1 + code,
            code @ 4..=29 => {
                let extra = code / 2 - 1;
                1 + ((2 + code % 2) << extra) + bits.take(extra)?
            }
            _ => return None,
        };
        *distance_max = distance.max(*distance_max);
        for _ in 0..length {
            text.push(*text.get(text.len().checked_sub(distance)?)?);
        }
    }
}
