//! The key to the HTTP API. It is never printed: not in a log, an answer, or by `{:?}`.
//!
//! There is no way to use the API without one. An open port on the loopback address looks safe and is
//! not: every program on the machine can reach it, and every page in a browser there. Instead a server
//! that was given no key makes one and says where it lies, so that trying it takes a `cat` more.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::sys::random;

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Box<[u8]>);

/// What is wrong with a key, or with the file it should be in.
#[derive(Debug)]
pub enum KeyError {
    /// Fewer than [`KEY_BYTES_MIN`] characters.
    Short,
    /// More than [`KEY_BYTES_MAX`].
    Long,
    /// Something that cannot stand in a header.
    Unprintable,
    /// The file cannot be read, or not be made.
    File(io::Error),
}

/// Where a server that was given no key keeps the one it made.
const FILE_NAME: &str = "admin.key";
/// What nobody guesses over a network; what we make has 256 bits.
const KEY_BYTES_MIN: usize = 16;
/// A line of a header.
const KEY_BYTES_MAX: usize = 256;

impl ApiKey {
    /// A key from text; blanks around it, such as a file's last newline, do not count.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        match text.len() {
            0..KEY_BYTES_MIN => Err(KeyError::Short),
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(KeyError::Unprintable),
            KEY_BYTES_MIN..=KEY_BYTES_MAX => Ok(Self(text.as_bytes().into())),
            _ => Err(KeyError::Long),
        }
    }

    /// The key in a file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let mut text = String::new();
        let file = File::open(path).map_err(KeyError::File)?;
        let mut file = file.take(KEY_BYTES_MAX as u64 * 2);
        file.read_to_string(&mut text).map_err(KeyError::File)?;
        Self::new(&text)
    }

    /// The key in the directory, made if there is none; and where it is. Only the user who runs the
    /// server can read it.
    pub fn keep_in(directory: &Path) -> Result<(Self, PathBuf), KeyError> {
        let path = directory.join(FILE_NAME);
        match Self::read(&path) {
            Err(KeyError::File(error)) if error.kind() == io::ErrorKind::NotFound => {}
            outcome => return outcome.map(|key| (key, path)),
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(KeyError::File)?;
        let mut bits = [0; 32];
        random::fill(&mut bits).map_err(KeyError::File)?;
        let text: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        match file.and_then(|mut file| writeln!(file, "{text}")) {
            Ok(()) => Ok((Self::new(&text)?, path)),
            // Another server of the same user was faster: its key is as good.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok((Self::read(&path)?, path))
            }
            Err(error) => Err(KeyError::File(error)),
        }
    }

    /// Whether `offered` is the key, in a time that says nothing about where they differ.
    pub fn is(&self, offered: &str) -> bool {
        let offered = offered.as_bytes();
        let difference = self
            .0
            .iter()
            .zip(offered)
            .fold(0, |all, (a, b)| all | (a ^ b));
        offered.len() == self.0.len() && std::hint::black_box(difference) == 0
    }
}

/// Whether people who are not meant to can read the file.
pub fn is_open_to_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(
                f,
                "a key has {KEY_BYTES_MIN} characters or more: head -c 32 /dev/urandom | base64"
            ),
            Self::Long => write!(f, "a key has {KEY_BYTES_MAX} characters at most"),
            Self::Unprintable => f.write_str("a key has letters, digits and signs of ASCII only"),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_for_itself_only() {
        let key = ApiKey::new("0123456789abcdef\n").unwrap();
        assert!(key.is("0123456789abcdef"));
        for other in [
            "",
            "0123456789abcde",
            "0123456789abcdeF",
            "0123456789abcdef0",
        ] {
            assert!(!key.is(other), "{other}");
        }
        assert_eq!(format!("{key:?}"), "ApiKey");
    }

    #[test]
    fn keys_have_a_shape() {
        assert!(matches!(ApiKey::new("short"), Err(KeyError::Short)));
        assert!(matches!(ApiKey::new(""), Err(KeyError::Short)));
        let (blank, long) = ("0123456789 abcdef", "x".repeat(KEY_BYTES_MAX + 1));
        assert!(matches!(ApiKey::new(blank), Err(KeyError::Unprintable)));
        assert!(matches!(ApiKey::new(&long), Err(KeyError::Long)));
    }

    #[test]
    fn a_key_is_made_once_and_for_one_user() {
        let name = format!("throng-key-{}", std::process::id());
        let directory = std::env::temp_dir().join(name).join("deep");
        let (made, path) = ApiKey::keep_in(&directory).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::metadata(&directory).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert!(!is_open_to_all(&path));
        assert_eq!(ApiKey::keep_in(&directory).unwrap().0, made);
        assert_eq!(ApiKey::read(&path).unwrap(), made);
        fs::write(&path, "spoilt").unwrap();
        assert!(matches!(ApiKey::keep_in(&directory), Err(KeyError::Short)));
        fs::remove_dir_all(directory.parent().unwrap()).unwrap();
        assert!(matches!(ApiKey::read(&path), Err(KeyError::File(_))));
    }
}
