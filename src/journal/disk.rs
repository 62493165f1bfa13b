//! The directory of the log: one server's at a time, read once at start.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::replay::{Fault, Found, Reader, What, recover};
use super::segment::{HEADER_BYTES, Header, Segment};
use crate::hub::{Epoch, Kept, NameHash, Namespaces};
use crate::sys::random;

/// How the log is opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub dir: PathBuf,
    /// Whether it is on the disk before anybody is answered.
    pub is_synced: bool,
    /// Whether damage is passed over.
    pub skips_damage: bool,
    /// How many workers share the channels.
    pub homes: u16,
    /// What channels are like.
    pub namespaces: Arc<Namespaces>,
}

/// A log that was read and may be written to.
#[derive(Debug)]
pub struct Opened {
    /// The secret that names of channels are hashed with: that of the process before.
    pub secret: u64,
    /// For each home, the epoch of channels that begin to exist, if it goes on.
    pub epochs: Vec<Option<Epoch>>,
    /// For each home, its channels.
    pub kept: Vec<Vec<Kept>>,
    /// What an operator should know.
    pub notes: Vec<String>,
    pub(super) dir: Directory,
    pub(super) header: Header,
    /// The segments that are there: number and bytes.
    pub(super) segments: Vec<(u64, u64)>,
}

/// Why a log cannot be had, and what to do about it.
#[derive(Debug)]
pub struct OpenError(String);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

/// Opens the log of a directory, and reads what is there.
pub fn open(settings: &Settings) -> Result<Opened, OpenError> {
    let failed = |path: &Path, error: &io::Error| {
        let path = path.display();
        OpenError(format!("{path}: {error} (--history-dir names another one)"))
    };
    let dir = Directory::claim(&settings.dir).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            let path = settings.dir.display();
            return OpenError(format!(
                "{path}: another server writes there; give each its own --history-dir"
            ));
        }
        failed(&settings.dir, &error)
    })?;
    let numbers = dir.segments().map_err(|error| failed(&dir.path, &error))?;
    let found = numbers.iter().map(|number| dir.find(*number));
    let found: Vec<_> = found
        .collect::<io::Result<_>>()
        .map_err(|error| failed(&dir.path, &error))?;
    let mut fresh = [0; 20];
    random::fill(&mut fresh).map_err(|error| failed(&dir.path, &error))?;
    let number = |at: usize| {
        let eight = fresh[at..].first_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(eight)
    };
    let last = found.iter().rev().find_map(|found| found.header);
    let header = Header {
        life: number(0),
        salt: number(12) as u32,
        is_synced: settings.is_synced,
        secret: last.map_or(number(8), |last| last.secret),
        boot: boot(),
    };
    let reader = Reader {
        namespaces: &settings.namespaces,
        life: header.life,
        boot: header.boot,
        skips: settings.skips_damage,
    };
    let read = |file: usize| fs::read(dir.path_of(numbers[file]));
    let recovered = recover(&reader, &found, read).map_err(|error| failed(&dir.path, &error))?;
    let describe = |fault: &Fault| dir.describe(numbers[fault.file], fault);
    let recovered = recovered.map_err(|fault| {
        OpenError(format!(
            "{}. Put the file back from a backup; or go on without what is lost: --history-damaged \
             skip; or begin anew: move {} away",
            describe(&fault),
            dir.path.display()
        ))
    })?;
    let mut notes: Vec<_> = recovered.skipped.iter().map(describe).collect();
    if recovered.renewals > 0 {
        notes.push(
            "the end of the history may be lost (the machine went down, or a file is damaged): epochs \
             are new, clients are told that they may have missed something"
                .to_owned(),
        );
    }
    let mut segments = Vec::new();
    for (file, number) in numbers.iter().enumerate() {
        let torn = recovered.torn.iter().find(|(torn, _)| *torn == file);
        let length = torn.map_or(found[file].length, |(_, at)| *at);
        if torn.is_some() {
            let cut = dir.cut(*number, length);
            cut.map_err(|error| failed(&dir.path_of(*number), &error))?;
        }
        if length > 0 {
            segments.push((*number, length));
        }
    }
    let epochs = recovered.epochs(settings.homes);
    let kept = recovered.into_kept(NameHash::new(header.secret), settings.homes);
    Ok(Opened {
        secret: header.secret,
        epochs,
        kept,
        notes,
        dir,
        header,
        segments,
    })
}

/// A directory that is ours until it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked; the kernel lets go of it when we die.
    _lock: File,
}

impl Directory {
    fn claim(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false).mode(0o600);
        let lock = options.open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn path_of(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:0NUMBER_DIGITS$}.log"))
    }

    /// The numbers of the segments that are there, in order.
    fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".log"));
            let stem = stem.filter(|stem| stem.len() == NUMBER_DIGITS);
            numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn find(&self, number: u64) -> io::Result<Found> {
        let mut file = File::open(self.path_of(number))?;
        let mut head = Vec::new();
        (&mut file)
            .take(HEADER_BYTES as u64)
            .read_to_end(&mut head)?;
        Ok(Found {
            length: file.metadata()?.len(),
            header: Segment::new(&head).map(|segment| *segment.header()),
        })
    }

    /// Cuts off a torn end; without anything in front of it, the file goes.
    fn cut(&self, number: u64, length: u64) -> io::Result<()> {
        let path = self.path_of(number);
        if length == 0 {
            return fs::remove_file(path);
        }
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    /// A new segment, which must not be there yet.
    pub(super) fn create(&self, number: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create_new(true).append(true).mode(0o600);
        options.open(self.path_of(number))
    }

    pub(super) fn remove(&self, number: u64) -> io::Result<()> {
        fs::remove_file(self.path_of(number))
    }

    /// Forces names that came and went to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn describe(&self, number: u64, fault: &Fault) -> String {
        let what = match fault.what {
            What::NoHeader => "does not begin like a file of the history".to_owned(),
            What::Checksum => format!(
                "is damaged at byte {}: a checksum is wrong, and what comes behind it is good",
                fault.at
            ),
            What::CutShort => format!("is cut short at byte {}", fault.at),
            What::Malformed => "has records that make no sense (of another version?)".to_owned(),
        };
        format!("{} {what}", self.path_of(number).display())
    }
}

/// Digits of a segment's name: more segments than a disk lives to see.
const NUMBER_DIGITS: usize = 10;

/// The boot of the machine: what a process left in the page cache, a process of the same boot finds there.
fn boot() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16)
        .unwrap_or_default()
        .to_le_bytes()
}
