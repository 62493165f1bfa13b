//! The development key: a secret that a server without configuration shares with `throng token`.
//!
//! It is made once and kept in the user's state directory, readable by nobody else. Whoever can read
//! it could have started the server.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::tokens::Secret;
use crate::config::{Place, Problem};

/// Random bytes in a key; they are written as twice as many digits.
pub const KEY_BYTES: usize = 32;

/// Where it is kept: `$XDG_STATE_HOME/throng/dev.key`, or below `~/.local/state`. `None` if this
/// environment has neither.
pub fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The specification has relative paths ignored.
    let folder = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("throng/dev.key"))
}

/// Reads the key, or makes it from `fresh` random bytes.
pub fn load_or_make(path: &Path, fresh: [u8; KEY_BYTES]) -> Result<Secret, Problem> {
    let outcome = match load(path) {
        Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::NotFound => make(path, fresh)
            .map_err(Trouble::Io)
            // Whoever was faster made it: theirs is everybody's.
            .and_then(|()| load(path)),
        outcome => outcome,
    };
    outcome.map_err(|trouble| trouble.problem(path))
}

fn load(path: &Path) -> Result<Secret, Trouble> {
    let file = fs::File::open(path).map_err(Trouble::Io)?;
    let mode = file.metadata().map_err(Trouble::Io)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Trouble::Open);
    }
    let mut text = Vec::new();
    let read = file.take(4 * KEY_BYTES as u64).read_to_end(&mut text);
    read.map_err(Trouble::Io)?;
    let digits = text.trim_ascii();
    let is_whole = digits.len() == 2 * KEY_BYTES && digits.iter().all(u8::is_ascii_hexdigit);
    Secret::new(digits)
        .filter(|_| is_whole)
        .ok_or(Trouble::Damaged)
}

/// Never seen half written, and never in place of another: it is linked to its name when it is whole.
fn make(path: &Path, fresh: [u8; KEY_BYTES]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let digits: String = fresh.iter().map(|byte| format!("{byte:02x}")).collect();
    // Not even another thread of this process writes to the same name, or it drew the same bytes.
    let draft = folder.join(format!(
        "dev.key.{:02x}{:02x}{:02x}",
        fresh[0], fresh[1], fresh[2]
    ));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let linked = file
        .write_all(format!("{digits}\n").as_bytes())
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

enum Trouble {
    Io(io::Error),
    Open,
    Damaged,
}

impl Trouble {
    fn problem(self, path: &Path) -> Problem {
        let (cause, cure) = match self {
            Self::Io(error) => (
                format!("the development key cannot be kept there: {error}"),
                "configure a key in [[auth.keys]], or set XDG_STATE_HOME".to_owned(),
            ),
            Self::Open => (
                "the development key can be read by others".to_owned(),
                format!("chmod 600 {0}, or remove it: rm {0}", path.display()),
            ),
            Self::Damaged => (
                "this is no development key".to_owned(),
                format!("remove it, and another is made: rm {}", path.display()),
            ),
        };
        Problem::error(Place::File(path.to_string_lossy().into()), cause, cure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test's own, gone at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let id = std::process::id();
            Self(std::env::temp_dir().join(format!("throng-dev-key-{name}-{id}")))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_key_is_made_once() {
        let scratch = Scratch::new("once");
        let path = scratch.0.join("state/throng/dev.key");
        let first = load_or_make(&path, [7; KEY_BYTES]).unwrap();
        let second = load_or_make(&path, [8; KEY_BYTES]).unwrap();
        assert_eq!(first, second);
        assert_eq!(first.expose(), "07".repeat(32).as_bytes());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "no draft is left behind");
    }

    #[test]
    fn makers_agree() {
        let scratch = Scratch::new("race");
        let path = scratch.0.join("dev.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8_u8)
                .map(|n| {
                    let path = &path;
                    scope.spawn(move || load_or_make(path, [n; KEY_BYTES]).unwrap())
                })
                .collect();
            makers
                .into_iter()
                .map(|maker| maker.join().unwrap())
                .collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_key_for_all_to_see_is_refused() {
        let scratch = Scratch::new("open");
        let path = scratch.0.join("dev.key");
        load_or_make(&path, [7; KEY_BYTES]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let problem = load_or_make(&path, [7; KEY_BYTES]).unwrap_err();
        assert!(problem.cure.starts_with("chmod 600 "), "{problem}");
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_shown() {
        let scratch = Scratch::new("damaged");
        let path = scratch.0.join("dev.key");
        load_or_make(&path, [7; KEY_BYTES]).unwrap();
        for text in ["", "0707", &"zz".repeat(32), &"07".repeat(33)] {
            fs::write(&path, text).unwrap();
            let problem = load_or_make(&path, [7; KEY_BYTES]).unwrap_err();
            assert!(problem.cure.contains("rm "), "{problem}");
            assert!(!problem.to_string().contains("0707"), "{problem}");
        }
    }

    #[test]
    fn the_environment_says_where() {
        let table = [
            (Some("/s"), Some("/h"), Some("/s/throng/dev.key")),
            (None, Some("/h"), Some("/h/.local/state/throng/dev.key")),
            (
                Some("rel"),
                Some("/h"),
                Some("/h/.local/state/throng/dev.key"),
            ),
            (Some(""), None, None),
            (None, None, None),
        ];
        for (state, home, expected) in table {
            let found = path(|name| match name {
                "XDG_STATE_HOME" => state.map(OsString::from),
                _ => home.map(OsString::from),
            });
            assert_eq!(found.as_deref(), expected.map(Path::new));
        }
    }
}
