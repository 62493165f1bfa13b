//! Bytes and durations as people write them: `64KiB`, `16MiB`, `25s`, `500ms`.
//!
//! Binary units only: a `KB` that means 1000 to one reader and 1024 to another has no place in a
//! limit. A bare number is bytes or seconds, the convention operators know from systemd and nginx.

use std::fmt;

/// Why a quantity cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityError {
    /// Nothing was written.
    Empty,
    /// It does not begin with a digit.
    NotANumber,
    /// The digits are followed by something that is no unit of this kind.
    UnknownUnit,
    /// The number does not fit 64 bits.
    TooLarge,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::NotANumber => "does not begin with a whole number",
            Self::UnknownUnit => "has a unit that is not known here",
            Self::TooLarge => "does not fit 64 bits",
        })
    }
}

/// Reads a plain count; `_` may group the digits, as in TOML.
pub fn parse_count(text: &str) -> Result<u64, QuantityError> {
    match split(text)? {
        (number, "") => Ok(number),
        _ => Err(QuantityError::NotANumber),
    }
}

/// Reads a number of bytes.
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    scaled(text, BYTE_UNITS, "B")
}

/// Reads a duration into milliseconds.
pub fn parse_duration_ms(text: &str) -> Result<u64, QuantityError> {
    scaled(text, TIME_UNITS, "s")
}

/// Writes bytes in the largest unit that loses nothing.
pub fn show_bytes(bytes: u64) -> String {
    show(bytes, BYTE_UNITS)
}

/// Writes milliseconds in the largest unit that loses nothing.
pub fn show_duration(ms: u64) -> String {
    show(ms, TIME_UNITS)
}

fn scaled(text: &str, units: &[(&str, u64)], bare: &str) -> Result<u64, QuantityError> {
    let (number, written) = split(text)?;
    let unit = if written.is_empty() { bare } else { written };
    // Case does not distinguish any two of our units, so `64kib` may mean what it says.
    let (_, factor) = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .ok_or(QuantityError::UnknownUnit)?;
    number.checked_mul(*factor).ok_or(QuantityError::TooLarge)
}

/// Cuts `64 KiB` into 64 and `KiB`.
fn split(text: &str) -> Result<(u64, &str), QuantityError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(QuantityError::Empty);
    }
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('_') {
        return Err(QuantityError::NotANumber);
    }
    // Only digits are left, so the one way to fail is a number beyond 64 bits.
    let number = digits
        .replace('_', "")
        .parse()
        .map_err(|_| QuantityError::TooLarge)?;
    Ok((number, unit.trim_start()))
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    if amount == 0 {
        return "0".to_owned();
    }
    let (name, factor) = units
        .iter()
        .find(|(_, factor)| amount.is_multiple_of(*factor))
        .expect("the last unit of each table is 1, which divides everything");
    format!("{}{name}", amount / factor)
}

/// Largest first: `show` takes the first that divides.
const BYTE_UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// In milliseconds, largest first.
const TIME_UNITS: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_as_people_write_them() {
        let table = [
            ("0", Ok(0)),
            ("125", Ok(125)),
            ("125B", Ok(125)),
            ("64KiB", Ok(64 << 10)),
            ("64 kib", Ok(64 << 10)),
            ("1MiB", Ok(1 << 20)),
            ("1_048_576", Ok(1 << 20)),
            ("2GiB", Ok(2 << 30)),
            ("", Err(QuantityError::Empty)),
            ("MiB", Err(QuantityError::NotANumber)),
            ("-1", Err(QuantityError::NotANumber)),
            ("_1", Err(QuantityError::NotANumber)),
            ("1_", Err(QuantityError::NotANumber)),
            ("1.5MiB", Err(QuantityError::UnknownUnit)),
            ("1MB", Err(QuantityError::UnknownUnit)),
            ("1s", Err(QuantityError::UnknownUnit)),
            ("18446744073709551616", Err(QuantityError::TooLarge)),
            ("18446744073709551615KiB", Err(QuantityError::TooLarge)),
        ];
        for (text, expected) in table {
            assert_eq!(parse_bytes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn durations_as_people_write_them() {
        let table = [
            ("0", Ok(0)),
            ("25s", Ok(25_000)),
            ("25", Ok(25_000)),
            ("500ms", Ok(500)),
            ("2m", Ok(120_000)),
            ("1h", Ok(3_600_000)),
            ("25sec", Err(QuantityError::UnknownUnit)),
            ("s", Err(QuantityError::NotANumber)),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration_ms(text), expected, "{text:?}");
        }
    }

    #[test]
    fn counts_have_no_unit() {
        assert_eq!(parse_count("10_000"), Ok(10_000));
        assert_eq!(parse_count("4x"), Err(QuantityError::NotANumber));
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_back(amount in any::<u64>(), shift in 0u32..64) {
            let amount = amount >> shift;
            prop_assert_eq!(parse_bytes(&show_bytes(amount)), Ok(amount));
            prop_assert_eq!(parse_duration_ms(&show_duration(amount)), Ok(amount));
        }

        #[test]
        fn no_text_panics(text in ".{0,24}") {
            let _ = (parse_bytes(&text), parse_duration_ms(&text), parse_count(&text));
        }
    }
}
