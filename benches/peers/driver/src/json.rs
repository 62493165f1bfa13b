//! JSON as applications push it: records of the same shape with different values, which deflate to a
//! third or so. Of nothing but one repeated byte a compressor would tell a tale.

use std::fmt::Write as _;

const SYMBOLS: [&str; 8] = [
    "EURUSD", "GBPJPY", "USDCHF", "AUDNZD", "BTCEUR", "ETHUSD", "XAUUSD", "NDX100",
];
const TAIL: &str = "],\"note\":\"";
const END: &str = "\"}";

/// An object of exactly so many bytes, different for each `variant`.
pub(crate) fn object(bytes: usize, variant: u32) -> Vec<u8> {
    let mut dice = Dice(u64::from(variant) + 1);
    let mut text = "{\"quotes\":[".to_owned();
    let mut comma = "";
    loop {
        let record = record(&mut dice);
        if text.len() + comma.len() + record.len() + TAIL.len() + END.len() > bytes {
            break;
        }
        text.push_str(comma);
        text.push_str(&record);
        comma = ",";
    }
    text.push_str(TAIL);
    while text.len() + END.len() < bytes {
        text.push((b'a' + dice.roll(26) as u8).into());
    }
    text.push_str(END);
    text.into_bytes()
}

fn record(dice: &mut Dice) -> String {
    let symbol = SYMBOLS[dice.roll(SYMBOLS.len() as u64) as usize];
    let (bid, spread) = (dice.roll(2_000_000), 1 + dice.roll(300));
    let mut record = String::new();
    let _ = write!(
        record,
        "{{\"symbol\":\"{symbol}\",\"bid\":{:.4},\"ask\":{:.4},\"volume\":{},\"at\":{}}}",
        bid as f64 / 1e4,
        (bid + spread) as f64 / 1e4,
        dice.roll(100_000),
        1_790_000_000_000 + dice.roll(86_400_000),
    );
    record
}

/// A linear congruential generator: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_size_that_was_asked_for_and_is_the_same_again() {
        for bytes in [64, 1000, 4096] {
            assert_eq!(object(bytes, 3).len(), bytes);
        }
        assert_eq!(object(4096, 3), object(4096, 3));
        assert_ne!(object(4096, 3), object(4096, 4));
        let text = String::from_utf8(object(200, 0)).unwrap();
        assert!(text.starts_with("{\"quotes\":[{\"symbol\":\"") && text.ends_with("\"}"));
    }
}
