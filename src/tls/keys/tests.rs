//! Slots, secrecy, and the key schedule against RFC 8448.

use super::*;

/// RFC 8448, 3: a simple 1-RTT handshake, TLS_AES_128_GCM_SHA256.
pub(in crate::tls) const CLIENT_SECRET: &str =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
pub(in crate::tls) const SERVER_SECRET: &str =
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";

pub(in crate::tls) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.split_whitespace().collect::<String>().into_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn secrets(fill: u8, suite: Suite) -> Vec<u8> {
    vec![fill; suite.secret_len()]
}

fn insert(store: &mut KeyStore, suite: Suite) -> KeyId {
    let (read, write) = (secrets(1, suite), secrets(2, suite));
    let half = |secret| Half {
        secret,
        sequence: 0,
    };
    store.insert(suite, &half(&read), &half(&write)).unwrap()
}

#[test]
fn the_key_schedule_is_that_of_rfc_8448() {
    let vectors = [
        (
            CLIENT_SECRET,
            "17422dda596ed5d9acd890e3c63f5051",
            "5b78923dee08579033e523d9",
        ),
        (
            SERVER_SECRET,
            "9f02283b6c9c07efc26bb9f2ac92e356",
            "cf782b88dd83549aadf1e984",
        ),
    ];
    for (secret, key, iv) in vectors {
        let (mut derived, mut derived_iv) = ([0; 16], [0; IV_LEN]);
        Suite::Aes128Gcm.derive_traffic_keys(&hex(secret), &mut derived, &mut derived_iv);
        assert_eq!(derived[..], hex(key));
        assert_eq!(derived_iv[..], hex(iv));
    }
}

#[test]
fn ids_name_suite_and_slot() {
    for suite in Suite::ALL {
        for slot in [0, 1, 511, 512, SLOTS_MAX] {
            let id = KeyId::new(suite, slot);
            assert_eq!((id.suite(), id.slot()), (suite, slot));
        }
    }
}

#[test]
fn slots_are_used_again_and_chunks_never_move() {
    let mut store = KeyStore::new(Role::Server);
    let ids: Vec<_> = (0..2 * CHUNK_SLOTS)
        .map(|index| insert(&mut store, Suite::ALL[index % 2]))
        .collect();
    assert_eq!(store.len(), 2 * CHUNK_SLOTS);
    assert_eq!(store.held_bytes(), CHUNK_SLOTS * (128 + 192));
    let address = |store: &mut KeyStore| std::ptr::from_mut(store.narrow.pair(0)) as usize;
    let first = address(&mut store);
    let more = insert(&mut store, Suite::Aes128Gcm);
    assert_eq!(address(&mut store), first);
    assert_eq!(store.held_bytes(), CHUNK_SLOTS * (2 * 128 + 192));
    store.remove(more);
    for id in &ids {
        store.remove(*id);
    }
    assert!(store.is_empty());
    let held = store.held_bytes();
    for _ in 0..2 * CHUNK_SLOTS {
        insert(&mut store, Suite::Aes128Gcm);
    }
    assert_eq!(store.held_bytes(), held, "vacant slots come first");
    assert_eq!(format!("{:?}", store.wide), "0 of 512 slots");
}

#[test]
fn nothing_of_a_removed_key_is_left() {
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm] {
        let mut store = KeyStore::new(Role::Server);
        let id = insert(&mut store, suite);
        let is_blank = |store: &mut KeyStore| {
            let keys = store.keys(id);
            [&keys.read, &keys.write].iter().all(|lane| {
                let bytes = lane.key.iter().chain(&*lane.iv).chain(&*lane.secret);
                bytes.copied().all(|byte| byte == 0)
            })
        };
        assert!(!is_blank(&mut store));
        store.remove(id);
        assert!(is_blank(&mut store));
    }
}

#[test]
fn a_sequence_beyond_what_a_key_may_protect_is_refused() {
    let mut store = KeyStore::new(Role::Server);
    let secret = secrets(1, Suite::Aes128Gcm);
    for (sequence, is_fine) in [
        (u64::from(SEQUENCE_END) - 1, true),
        (u64::from(SEQUENCE_END), false),
        (u64::from(u32::MAX) + 1, false),
    ] {
        let half = Half {
            secret: &secret,
            sequence,
        };
        let id = store.insert(Suite::Aes128Gcm, &half, &half);
        assert_eq!(id.is_ok(), is_fine, "{sequence}");
        assert_eq!(store.len(), usize::from(is_fine));
        if let Ok(id) = id {
            store.remove(id);
        }
    }
}

#[test]
fn marks_and_sequence_do_not_touch_each_other() {
    let mut word = Word::default();
    word.set_sequence(SEQUENCE_END);
    word.set_barren(33);
    word.set(HEARD_CLOSE);
    assert_eq!((word.sequence(), word.barren()), (SEQUENCE_END, 33));
    assert!(word.has(HEARD_CLOSE) && !word.has(BROKEN));
    word.set_barren(0);
    word.clear(HEARD_CLOSE);
    assert_eq!(word.0, SEQUENCE_END);
}
