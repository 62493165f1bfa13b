//! What people type and read: `30s`, `40k/s`, `64k`, and back to `1,000,000` and `3.7 GiB`.
//!
//! A bare number is refused wherever it could mean two things: `--duration 30` says neither seconds
//! nor milliseconds, and a run of the wrong length is found out too late.

use std::fmt;
use std::time::Duration;

/// Why a quantity was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitError {
    /// Nothing to read.
    Empty,
    /// No number at the start.
    NotANumber,
    /// A number without the unit that would give it a meaning.
    MissingUnit,
    /// A unit nobody here knows.
    UnknownUnit,
    /// Negative, infinite or beyond what a counter holds.
    OutOfRange,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the value is empty",
            Self::NotANumber => "does not start with a number",
            Self::MissingUnit => "needs a unit: us, ms, s, m or h",
            Self::UnknownUnit => "has an unknown unit",
            Self::OutOfRange => "is out of range",
        })
    }
}

impl std::error::Error for UnitError {}

/// Reads `250us`, `50ms`, `30s`, `1.5m` or `1h`.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text)?;
    let seconds_per_unit = match unit {
        "" if number == 0.0 => 1.0,
        "" => return Err(UnitError::MissingUnit),
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(UnitError::UnknownUnit),
    };
    // Rounded to whole nanoseconds first: 0.02 s times 1e9 is not exactly 20 000 000 in binary.
    let nanos = (number * seconds_per_unit * 1e9).round();
    if nanos > 1e18 {
        return Err(UnitError::OutOfRange);
    }
    Ok(Duration::from_nanos(nanos as u64))
}

/// Reads a count: `1000000`, `1_000_000`, `100k`, `1M`. Decimal multiples, because connections are.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    scaled(number, unit, 1000.0)
}

/// Reads a size in bytes: `512`, `64k`, `1M`. Binary multiples, because buffers are.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    let unit = unit
        .strip_suffix("iB")
        .or_else(|| unit.strip_suffix('B'))
        .unwrap_or(unit);
    scaled(number, unit, 1024.0)
}

/// Reads a rate per second: `20000`, `40k`, `0.5`, with or without `/s`.
pub fn parse_rate(text: &str) -> Result<f64, UnitError> {
    let text = text.trim();
    let (number, unit) = split(text.strip_suffix("/s").unwrap_or(text))?;
    Ok(number * multiple(unit, 1000.0)?)
}

/// Reads a share: `5%` or `0.05`.
pub fn parse_share(text: &str) -> Result<f64, UnitError> {
    let (number, unit) = split(text)?;
    let share = match unit {
        "" => number,
        "%" => number / 100.0,
        _ => return Err(UnitError::UnknownUnit),
    };
    if share > 1.0 {
        Err(UnitError::OutOfRange)
    } else {
        Ok(share)
    }
}

/// `1234567` as `1,234,567`.
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A large number in few characters for an axis: `950`, `12k`, `1.5M`.
pub fn compact(value: f64) -> String {
    let magnitude = value.abs();
    let (scaled, suffix) = match magnitude {
        m if m >= 1e9 => (value / 1e9, "G"),
        m if m >= 1e6 => (value / 1e6, "M"),
        m if m >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    format!("{}{suffix}", trimmed(scaled))
}

/// Bytes for people: `512 B`, `3.9 KiB`, `7.3 GiB`.
pub fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{scaled:.0} B")
    } else {
        format!("{scaled:.1} {}", UNITS[unit])
    }
}

/// Milliseconds with three significant digits: `0.184 ms`, `12.4 ms`, `1.02 s`.
pub fn millis(value_ms: f64) -> String {
    if value_ms.abs() >= 1000.0 {
        return format!("{} s", significant(value_ms / 1000.0));
    }
    format!("{} ms", significant(value_ms))
}

/// Three significant digits without an exponent.
pub fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        0.0 => 0,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

fn trimmed(value: f64) -> String {
    let text = if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    };
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

fn scaled(number: f64, unit: &str, base: f64) -> Result<u64, UnitError> {
    let value = (number * multiple(unit, base)?).round();
    // 2^53: beyond it a float no longer counts by ones.
    if value > 9.0e15 {
        Err(UnitError::OutOfRange)
    } else {
        Ok(value as u64)
    }
}

fn multiple(unit: &str, base: f64) -> Result<f64, UnitError> {
    Ok(match unit {
        "" => 1.0,
        "k" | "K" => base,
        "m" | "M" => base * base,
        "g" | "G" => base * base * base,
        _ => return Err(UnitError::UnknownUnit),
    })
}

fn split(text: &str) -> Result<(f64, &str), UnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let number: f64 = text[..end]
        .replace('_', "")
        .parse()
        .map_err(|_| UnitError::NotANumber)?;
    Ok((number, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, expected) in [
            ("30s", Ok(Duration::from_secs(30))),
            ("50ms", Ok(Duration::from_millis(50))),
            ("0.02s", Ok(Duration::from_millis(20))),
            ("250us", Ok(Duration::from_micros(250))),
            ("1.5m", Ok(Duration::from_secs(90))),
            ("2h", Ok(Duration::from_secs(7200))),
            ("0", Ok(Duration::ZERO)),
            ("30", Err(UnitError::MissingUnit)),
            ("30 parsecs", Err(UnitError::UnknownUnit)),
            ("-3s", Err(UnitError::NotANumber)),
            ("", Err(UnitError::Empty)),
            ("1e9", Err(UnitError::UnknownUnit)),
            ("99999999999999999h", Err(UnitError::OutOfRange)),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn counts_are_decimal_and_sizes_are_binary() {
        assert_eq!(parse_count("1M"), Ok(1_000_000));
        assert_eq!(parse_count("1_000"), Ok(1000));
        assert_eq!(parse_bytes("64k"), Ok(65_536));
        assert_eq!(parse_bytes("1MiB"), Ok(1 << 20));
        assert_eq!(parse_bytes("512B"), Ok(512));
        assert_eq!(parse_rate("40k/s"), Ok(40_000.0));
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        assert_eq!(parse_share("5%"), Ok(0.05));
        assert_eq!(parse_share("150%"), Err(UnitError::OutOfRange));
    }

    #[test]
    fn people_read_what_is_printed() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(compact(12_000.0), "12k");
        assert_eq!(compact(1_500_000.0), "1.5M");
        assert_eq!(bytes(3970.0), "3.9 KiB");
        assert_eq!(bytes(64.0), "64 B");
        assert_eq!(millis(0.1842), "0.184 ms");
        assert_eq!(millis(1020.0), "1.02 s");
    }
}
