//! From segments back to channels.
//!
//! Records of one channel may come in any order and more than once, because a walk hands out again what was
//! handed out before: what counts is the set of them. Only a new epoch begins anew.
//!
//! A power cut is no kill: what the kernel had not written is gone, although it was acknowledged, unless
//! every acknowledgement waited for the disk. After one, epochs are renewed, so that a client that saw
//! more than is left learns it. The new epoch follows from the old one and from the process that comes
//! next, so that whoever reads the same log later finds the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use zlib_rs::crc32::crc32;

use super::codec::Records;
use super::segment::{End, Header, Segment};
use crate::hub::{ChannelName, Epoch, Kept, NameHash, Namespaces, Position, Publication, Record};

/// A file of the log, before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Its bytes.
    pub(crate) length: u64,
    /// Its header, if it has one.
    pub(crate) header: Option<Header>,
}

/// What is wrong with a file, and is no torn end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Which file.
    pub(crate) file: usize,
    /// From which byte on.
    pub(crate) at: usize,
    /// What is wrong.
    pub(crate) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// It does not begin like one of ours.
    NoHeader,
    /// A checksum is wrong, and there are good ones behind it.
    Checksum,
    /// It ends too early, and the process wrote another one after it.
    CutShort,
    /// The checksum is right, and the records make no sense.
    Malformed,
}

/// What was found in a log.
#[derive(Default, Debug)]
pub(crate) struct Recovered {
    states: HashMap<Arc<str>, State, foldhash::fast::RandomState>,
    begins: HashMap<u16, (u16, Epoch), foldhash::fast::RandomState>,
    /// Files that end with a torn batch, and where their valid part ends.
    pub(crate) torn: Vec<(usize, u64)>,
    /// Damage that was passed over.
    pub(crate) skipped: Vec<Fault>,
    /// How often epochs were renewed.
    pub(crate) renewals: usize,
    /// Records that were read.
    pub(crate) records: u64,
}

/// A channel in the making.
#[derive(Debug)]
struct State {
    position: Position,
    forgotten: u64,
    used_ms: u64,
    kept: BTreeMap<u64, Arc<Publication>>,
}

impl State {
    fn new(epoch: Epoch) -> Self {
        Self {
            position: Position { offset: 0, epoch },
            forgotten: 0,
            used_ms: 0,
            kept: BTreeMap::new(),
        }
    }

    /// Forgets everything up to that offset.
    fn forget(&mut self, offset: u64) {
        self.forgotten = self.forgotten.max(offset);
        while let Some(first) = self.kept.first_entry() {
            if *first.key() > self.forgotten {
                break;
            }
            first.remove();
        }
    }
}

/// Who reads the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    /// What channels are like now.
    pub(crate) namespaces: &'a Namespaces,
    /// The process.
    pub(crate) life: u64,
    /// The boot of the machine; zeros if it is not known.
    pub(crate) boot: [u8; 16],
    /// Whether damage is passed over.
    pub(crate) skips: bool,
}

/// Reads the log of these files, in their order; `read` reads one of them.
pub(crate) fn recover<E>(
    reader: &Reader<'_>,
    files: &[Found],
    mut read: impl FnMut(usize) -> Result<Vec<u8>, E>,
) -> Result<Result<Recovered, Fault>, E> {
    let mut recovered = Recovered::default();
    let mut file = 0;
    while file < files.len() {
        // All files of one process, and those without a header among them.
        let life = files[file].header.map(|header| header.life);
        let is_same = |found: &&Found| found.header.is_none_or(|header| Some(header.life) == life);
        let count = files[file..].iter().take_while(is_same).count().max(1);
        let next = files[file + count..].iter().find_map(|found| found.header);
        let next = next.map_or((reader.life, reader.boot), |next| (next.life, next.boot));
        let header = files[file].header;
        let is_cut_off = header.is_some_and(|header| header.boot != next.1 || next.1 == [0; 16]);
        let may_lose = is_cut_off && header.is_some_and(|header| !header.is_synced);
        let mut life = Life {
            may_lose,
            is_ended: false,
            is_lost: false,
        };
        for (index, found) in files.iter().enumerate().skip(file).take(count) {
            let is_last = index + 1 == file + count;
            if (found.length as usize) < super::segment::HEADER_BYTES {
                recovered.torn.push((index, 0));
                continue;
            }
            let bytes = read(index)?;
            if let Err(fault) = life.read_file(reader, &mut recovered, (index, is_last), &bytes) {
                return Ok(Err(fault));
            }
        }
        if life.is_lost || life.may_lose && !life.is_ended {
            recovered.renew(next.0);
        }
        file += count;
    }
    Ok(Ok(recovered))
}

/// The files of one process.
struct Life {
    /// Whether what it acknowledged may be gone.
    may_lose: bool,
    /// It ended as it should.
    is_ended: bool,
    /// Something of it is gone.
    is_lost: bool,
}

impl Life {
    fn read_file(
        &mut self,
        reader: &Reader<'_>,
        recovered: &mut Recovered,
        (file, is_last): (usize, bool),
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let fault = |at, what| Fault { file, at, what };
        let Some(mut segment) = Segment::new(bytes) else {
            return self.pass_over(reader, recovered, fault(0, What::NoHeader));
        };
        loop {
            match segment.next_batch() {
                Ok(END) => self.is_ended = true,
                Ok(batch) => {
                    self.is_ended = false;
                    if !recovered.apply_all(reader, batch) {
                        // Nobody knows where it is wrong; the next batch may be right.
                        self.pass_over(reader, recovered, fault(0, What::Malformed))?;
                    }
                }
                Err(End::Whole) => return Ok(()),
                Err(End::Torn { at }) if is_last || self.may_lose => {
                    self.is_lost |= !is_last;
                    recovered.torn.push((file, at as u64));
                    return Ok(());
                }
                Err(End::Torn { at }) => {
                    return self.pass_over(reader, recovered, fault(at, What::CutShort));
                }
                Err(End::Damaged { at, next }) => {
                    if !self.may_lose {
                        self.pass_over(reader, recovered, fault(at, What::Checksum))?;
                    }
                    self.is_lost = true;
                    segment.go_on_at(next);
                }
            }
        }
    }

    fn pass_over(
        &mut self,
        reader: &Reader<'_>,
        recovered: &mut Recovered,
        fault: Fault,
    ) -> Result<(), Fault> {
        if !reader.skips {
            return Err(fault);
        }
        self.is_lost = true;
        recovered.skipped.push(fault);
        Ok(())
    }
}

impl Recovered {
    /// `false`: one of the records is malformed.
    fn apply_all(&mut self, reader: &Reader<'_>, batch: &[u8]) -> bool {
        for record in Records::new(batch) {
            let Ok(record) = record else {
                return false;
            };
            self.records += 1;
            self.apply(reader.namespaces, record);
        }
        true
    }

    fn apply(&mut self, namespaces: &Namespaces, record: Record) {
        match record {
            Record::Begins {
                worker,
                homes,
                epoch,
            } => {
                self.begins.insert(worker, (homes, epoch));
            }
            Record::Published {
                channel,
                epoch,
                publication,
            } => {
                // Of channels that are no longer kept, nothing has to be held in memory.
                let Some(size) = size_of(namespaces, &channel) else {
                    return;
                };
                let state = self.state(channel, epoch);
                state.position.offset = state.position.offset.max(publication.offset);
                state.used_ms = state.used_ms.max(publication.unix_ms);
                if publication.offset > state.forgotten {
                    state.kept.insert(publication.offset, publication);
                }
                while state.kept.len() > size
                    && let Some((oldest, _)) = state.kept.pop_first()
                {
                    state.forgotten = state.forgotten.max(oldest);
                }
            }
            Record::Stands {
                channel,
                position,
                forgotten,
                used_ms,
            } => {
                if size_of(namespaces, &channel).is_none() {
                    return;
                }
                let state = self.state(channel, position.epoch);
                state.position.offset = state.position.offset.max(position.offset);
                state.used_ms = state.used_ms.max(used_ms);
                state.forget(forgotten);
            }
        }
    }

    fn state(&mut self, channel: Arc<str>, epoch: Epoch) -> &mut State {
        let fresh = || State::new(epoch);
        let state = self.states.entry(channel).or_insert_with(fresh);
        if state.position.epoch != epoch {
            *state = fresh();
        }
        state
    }

    /// Other epochs for all: positions of the time before are good for nothing from now on.
    fn renew(&mut self, life: u64) {
        let renewed = |epoch: Epoch| {
            let number = crc32(epoch.number(), &life.to_le_bytes());
            Epoch::new(number.max(1))
        };
        for state in self.states.values_mut() {
            state.position.epoch = renewed(state.position.epoch);
        }
        for (_, epoch) in self.begins.values_mut() {
            *epoch = renewed(*epoch);
        }
        self.renewals += 1;
    }

    /// The epoch of channels that begin to exist at each of so many homes, if there were as many.
    pub(crate) fn epochs(&self, homes: u16) -> Vec<Option<Epoch>> {
        let epoch = |worker: u16| match self.begins.get(&worker) {
            Some((others, epoch)) if *others == homes => Some(*epoch),
            _ => None,
        };
        (0..homes).map(epoch).collect()
    }

    /// The channels, each at its home.
    pub(crate) fn into_kept(self, hash: NameHash, homes: u16) -> Vec<Vec<Kept>> {
        let mut kept: Vec<Vec<Kept>> = (0..homes).map(|_| Vec::new()).collect();
        for (channel, state) in self.states {
            // A gap, where damage was passed over: what is before it is no history any more.
            let mut newest = state.position.offset;
            let mut publications = Vec::new();
            for (offset, publication) in state.kept.into_iter().rev() {
                if offset != newest {
                    break;
                }
                newest -= 1;
                publications.push(publication);
            }
            publications.reverse();
            kept[hash.home(&channel, homes.into())].push(Kept {
                channel,
                position: state.position,
                used_ms: state.used_ms,
                publications,
            });
        }
        kept
    }
}

/// How many publications that channel keeps on disk; `None` if it does not.
fn size_of(namespaces: &Namespaces, channel: &str) -> Option<usize> {
    let name = ChannelName::new(channel).ok()?;
    let options = namespaces.at(namespaces.of(name)?);
    let is_kept = options.is_durable && options.history_size > 0;
    is_kept.then_some(options.history_size as usize)
}

/// The batch of a process that ended as it should.
pub(crate) const END: &[u8] = &[0xff];
