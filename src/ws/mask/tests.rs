use super::*;
use crate::ws::fuzzing;

#[test]
fn every_length_offset_and_phase_equals_the_definition() {
    let bytes: Vec<u8> = (0..400_u32).map(|i| ((i * 151) >> 2) as u8).collect();
    for offset in 0..16 {
        for len in 0..=300 {
            for phase in 0..4 {
                let piece = &bytes[offset..offset + len];
                fuzzing::unmask(piece, [0x37, 0xFA, 0x21, 0x3D], phase + 4 * offset);
            }
        }
    }
}

#[test]
fn the_vector_loop_equals_the_definition_at_every_alignment() {
    let bytes: Vec<u8> = (0..70_000_u32).map(|i| ((i * 151) >> 3) as u8).collect();
    let around_the_switch = VECTOR_BYTES_MIN - 1..VECTOR_BYTES_MIN + 2 * CHUNK_BYTES;
    for len in around_the_switch.chain([4095, 16_384, 65_535, 69_900]) {
        for offset in 0..2 * VECTOR_BYTES {
            let piece = &bytes[offset..offset + len];
            fuzzing::unmask(piece, [0x80, 0x01, 0xFF, 0x7E], len);
        }
    }
}

#[test]
fn one_high_bit_anywhere_is_seen() {
    let key = [0xA5, 0x5A, 0xC3, 0x3C];
    for len in (1..=300).chain([VECTOR_BYTES_MIN, 700]) {
        for place in 0..len {
            let mut text = vec![b'a'; len];
            text[place] = 0x80;
            unmask(&mut text, key);
            assert!(!unmask_ascii(&mut text, key, 0), "{place} of {len}");
        }
        let mut text = vec![0x7F; len];
        unmask(&mut text, key);
        assert!(unmask_ascii(&mut text, key, 0), "{len}");
    }
}
