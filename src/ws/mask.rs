//! Masking (RFC 6455 section 5.3): XOR with a four-byte key, in place. Masking twice unmasks.
//!
//! Chat-sized payloads take the short path: eight bytes at a time, the last eight overlapping, no
//! call and no dispatch.

/// Unmasks a whole payload.
#[inline]
pub fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    unmask_ascii(bytes, key, 0);
}

/// Unmasks a piece of a payload; `phase` is the offset of its first byte in the payload.
#[inline]
pub fn unmask_at(bytes: &mut [u8], key: [u8; 4], phase: usize) {
    unmask_ascii(bytes, key, phase);
}

/// Unmasks a piece of a payload and says whether all of it is ASCII.
///
/// One pass instead of two: most text is ASCII, and what is ASCII needs no further validation.
#[inline]
pub fn unmask_ascii(bytes: &mut [u8], key: [u8; 4], phase: usize) -> bool {
    let key = key_at(key, phase);
    let wide_key = u64::from(key) << 32 | u64::from(key);
    let mut seen = 0;
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        let clear = u64::from_le_bytes(*chunk) ^ wide_key;
        seen |= clear;
        *chunk = clear.to_le_bytes();
    }
    for (index, byte) in rest.iter_mut().enumerate() {
        *byte ^= (key >> (8 * (index % 4))) as u8;
        seen |= u64::from(*byte);
    }
    seen & HIGH_BITS == 0
}

/// The key as it applies from `phase` on, its first byte lowest.
fn key_at(key: [u8; 4], phase: usize) -> u32 {
    u32::from_le_bytes(key).rotate_right(8 * (phase % 4) as u32)
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests;
