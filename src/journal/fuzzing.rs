//! The properties of the log that the fuzz targets check, and that their seeds check in `cargo test`.

use std::convert::Infallible;

use super::codec::{self, Records};
use super::replay::{Found, Reader, recover};
use super::segment::{BATCH_HEAD_BYTES, HEADER_BYTES, Header, seal};
use crate::hub::{NameHash, Namespaces, Options, Record};

/// Bytes as a file of the log, and as the records of one: whatever they are, reading ends, records are
/// written again as they were read, and what is recovered is a history without a gap.
pub fn journal(bytes: &[u8]) {
    let whole: Vec<_> = Records::new(bytes).collect();
    let good: Vec<_> = whole.iter().flatten().cloned().collect();
    assert!(
        whole.len() - good.len() <= 1,
        "nothing behind what is malformed"
    );
    let mut again = Vec::new();
    for record in &good {
        codec::append(&mut again, record);
    }
    assert_eq!(again, bytes[..again.len()], "one way to write a record");
    assert_eq!(again.len() == bytes.len(), whole.len() == good.len());
    check_recovery(&[bytes.to_vec()], None);
    check_recovery(&[file(&good), bytes.to_vec()], None);
    // The same as a file of ours that was torn: what is in front of the tear is there.
    let mut torn = file(&good);
    let valid = torn.len();
    torn.extend_from_slice(bytes);
    check_recovery(&[torn], Some(good.len() as u64));
    let whole = file(&good);
    for cut in [valid.saturating_sub(1), valid / 2, HEADER_BYTES.min(valid)] {
        check_recovery(&[whole[..cut].to_vec()], None);
    }
}

/// A segment with each record in a batch of its own.
pub(super) fn file(records: &[Record]) -> Vec<u8> {
    let mut file = HEADER.to_bytes().to_vec();
    for record in records {
        let mut batch = vec![0; BATCH_HEAD_BYTES];
        codec::append(&mut batch, record);
        seal(&mut batch, HEADER.salt);
        file.extend_from_slice(&batch);
    }
    file
}

fn check_recovery(files: &[Vec<u8>], records: Option<u64>) {
    let options = Options {
        history_size: 5,
        ..Options::open()
    };
    let namespaces = Namespaces::open(options);
    for skips in [false, true] {
        let reader = Reader {
            namespaces: &namespaces,
            life: 9,
            boot: HEADER.boot,
            skips,
        };
        let find = |file: &Vec<u8>| Found {
            length: file.len() as u64,
            header: super::segment::Segment::new(file).map(|segment| *segment.header()),
        };
        let found: Vec<_> = files.iter().map(find).collect();
        let read = |file: usize| Ok::<_, Infallible>(files[file].clone());
        let Ok(recovered) = recover(&reader, &found, read);
        let Ok(recovered) = recovered else {
            assert!(!skips, "whoever skips reads everything");
            continue;
        };
        if let Some(records) = records {
            assert!(recovered.records >= records, "what was whole is there");
        }
        for kept in recovered
            .into_kept(NameHash::new(1), 3)
            .into_iter()
            .flatten()
        {
            assert!(kept.publications.len() <= 5);
            let last = kept.publications.last().map(|last| last.offset);
            assert!(last.is_none_or(|last| last == kept.position.offset));
            let pairs = kept.publications.windows(2);
            let mut gaps = pairs.map(|pair| pair[1].offset - pair[0].offset);
            assert!(gaps.all(|gap| gap == 1));
        }
    }
}

pub(super) const HEADER: Header = Header {
    life: 1,
    salt: 0x5eed_cafe,
    is_synced: false,
    secret: 2,
    boot: [7; 16],
};
