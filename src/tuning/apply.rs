//! Setting what is recommended, and taking it back: the only code here that writes.
//!
//! What was there is noted in a state file *before* anything is changed, so that an interrupted run
//! can be undone as well. A value is taken back only while it is still the one we set: what somebody
//! else has changed since is theirs, and is said.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::TuningFile;
use super::host::Host;
use super::knob::{sysctl_path, written};
use super::recipes::numbers;
use super::recommendation::Setting;
use super::root::ProcRoot;

/// What was there before us, and what we made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The boot in which the settings were made: they do not outlive it, the files do.
    pub boot: Option<String>,
    /// The network namespace they were made in.
    pub namespace: Option<String>,
    /// Settings.
    pub settings: Vec<Changed>,
    /// Files; `before` is `None` where there was none.
    pub files: Vec<Changed>,
    /// Folders that we made, outermost first.
    #[serde(default)]
    pub folders: Vec<String>,
}

/// One thing that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The setting's name, or the file below the root.
    pub name: String,
    /// What was there, byte for byte.
    pub before: Option<String>,
    /// What is there because of us.
    pub after: String,
}

/// What happened to one setting or file.
#[derive(Debug)]
pub enum Step {
    /// It is as wanted now.
    Done(Changed),
    /// It could not be written.
    Failed(String, io::Error),
    /// It is not what we made it: somebody changed it since, so it stays.
    Foreign(Changed, Option<String>),
}

/// Where the state of this namespace is kept.
#[must_use]
pub fn state_path(host: &Host) -> String {
    let namespace = host.namespace.as_deref().unwrap_or_default();
    let number: String = namespace.chars().filter(char::is_ascii_digit).collect();
    let number = if number.is_empty() { "0" } else { &number };
    format!("var/lib/throng/tune-{number}.json")
}

impl State {
    /// What an earlier run noted, if it is still about this namespace.
    pub fn load(root: &ProcRoot, host: &Host) -> io::Result<Option<Self>> {
        let Some(text) = root.text(&state_path(host)) else {
            return Ok(None);
        };
        let mut state: Self = serde_json::from_str(&text)?;
        if state.boot != host.boot && state.files.is_empty() {
            // The settings ended with that boot, and the number may be another namespace's now.
            return Ok(None);
        }
        // What the kernel was given at that start came from our files, so it is still ours.
        state.boot.clone_from(&host.boot);
        Ok(Some(state))
    }

    /// The machine as it would be without us.
    #[must_use]
    pub fn original(&self, host: &Host) -> Host {
        let mut original = host.clone();
        for changed in &self.settings {
            let value = changed.before.as_deref().map(numbers);
            let slot = original
                .sysctls
                .iter_mut()
                .find(|(name, _)| **name == changed.name);
            if let (Some((_, slot)), Some(value)) = (slot, value) {
                *slot = value;
            }
        }
        original
    }

    /// Notes the folders above `file` that are not there yet.
    fn note_folders(&mut self, root: &ProcRoot, file: &str) {
        let ends = file.match_indices('/').map(|(at, _)| &file[..at]);
        let missing = ends.filter(|folder| !root.path(folder).exists());
        for folder in missing {
            if !self.folders.iter().any(|known| known == folder) {
                self.folders.push(folder.to_owned());
            }
        }
    }

    fn save(&self, root: &ProcRoot, host: &Host) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_file(&root.path(&state_path(host)), &text)
    }
}

/// Makes the settings and writes the files, those that set something. Values that are in force
/// already are left alone.
pub fn apply(
    root: &ProcRoot,
    host: &Host,
    settings: &[Setting],
    files: &[TuningFile],
) -> io::Result<Vec<Step>> {
    let mut state = State::load(root, host)?.unwrap_or_default();
    state.boot.clone_from(&host.boot);
    state.namespace.clone_from(&host.namespace);
    let changes = settings.iter().filter(|s| s.now.as_ref() != Some(&s.value));
    let changes: Vec<Changed> = changes
        .map(|setting| {
            note(
                &mut state.settings,
                setting.name,
                root.text(&sysctl_path(setting.name)),
                written(&setting.value),
            )
        })
        .collect();
    let stale = |file: &&TuningFile| file.sets && root.text(file.path).as_ref() != Some(&file.text);
    let written: Vec<Changed> = files
        .iter()
        .filter(stale)
        .map(|file| {
            note(
                &mut state.files,
                file.path,
                root.text(file.path),
                file.text.clone(),
            )
        })
        .collect();
    if changes.is_empty() && written.is_empty() {
        return Ok(Vec::new());
    }
    state.note_folders(root, &state_path(host));
    for file in &written {
        state.note_folders(root, &file.name);
    }
    state.save(root, host)?;
    let mut steps: Vec<Step> = written
        .into_iter()
        .map(
            |file| match write_file(&root.path(&file.name), &file.after) {
                Ok(()) => Step::Done(file),
                Err(error) => Step::Failed(file.name, error),
            },
        )
        .collect();
    for change in changes {
        steps.push(set(root, &mut state, change));
    }
    state.save(root, host)?;
    Ok(steps)
}

/// Notes what is about to change; what was there before our first change is never overwritten.
fn note(list: &mut Vec<Changed>, name: &str, before: Option<String>, after: String) -> Changed {
    let known = list.iter().position(|known| known.name == name);
    let at = known.unwrap_or_else(|| {
        list.push(Changed {
            name: name.to_owned(),
            before: before.clone(),
            after: String::new(),
        });
        list.len() - 1
    });
    list[at].after.clone_from(&after);
    // To the caller: from what it is now, not from what it was before an earlier run.
    Changed {
        name: name.to_owned(),
        before,
        after,
    }
}

fn set(root: &ProcRoot, state: &mut State, change: Changed) -> Step {
    let path = sysctl_path(&change.name);
    let result = fs::write(root.path(&path), format!("{}\n", change.after));
    let at = state
        .settings
        .iter()
        .position(|known| known.name == change.name);
    let at = at.expect("it was noted before");
    match result {
        Ok(()) => {
            // The kernel may round; what it says is what we will recognise as ours.
            if let Some(text) = root.text(&path) {
                state.settings[at].after = words(&text);
            }
            Step::Done(change)
        }
        Err(error) => {
            // A change that did not happen on top of an earlier one leaves that one to be undone.
            match change.before.as_deref().map(words) {
                Some(now)
                    if state.settings[at].before.as_deref().map(words) != Some(now.clone()) =>
                {
                    state.settings[at].after = now;
                }
                _ => drop(state.settings.remove(at)),
            }
            Step::Failed(change.name, error)
        }
    }
}

/// Puts back what was there. The state file goes when everything that is ours has gone.
pub fn undo(root: &ProcRoot, host: &Host) -> io::Result<Option<Vec<Step>>> {
    let Some(mut state) = State::load(root, host)? else {
        return Ok(None);
    };
    let mut steps = Vec::new();
    // In reverse: a limit is lowered before its ceiling.
    for changed in std::mem::take(&mut state.settings).into_iter().rev() {
        let step = restore_setting(root, changed.clone());
        if matches!(step, Step::Failed(..)) {
            state.settings.insert(0, changed);
        }
        steps.push(step);
    }
    for changed in std::mem::take(&mut state.files) {
        let step = restore_file(root, changed.clone());
        if matches!(step, Step::Failed(..)) {
            state.files.push(changed);
        }
        steps.push(step);
    }
    if state.settings.is_empty() && state.files.is_empty() {
        fs::remove_file(root.path(&state_path(host)))?;
        for folder in state.folders.iter().rev() {
            // Somebody may keep something in it by now.
            let _ = fs::remove_dir(root.path(folder));
        }
    } else {
        state.save(root, host)?;
    }
    Ok(Some(steps))
}

fn restore_setting(root: &ProcRoot, changed: Changed) -> Step {
    let path = sysctl_path(&changed.name);
    let now = root.text(&path);
    if now.as_deref().map(words) != Some(words(&changed.after)) {
        return Step::Foreign(changed, now.as_deref().map(words));
    }
    let before = changed.before.clone().unwrap_or_default();
    match fs::write(root.path(&path), before) {
        Ok(()) => Step::Done(changed),
        Err(error) => Step::Failed(changed.name, error),
    }
}

fn restore_file(root: &ProcRoot, changed: Changed) -> Step {
    let now = root.text(&changed.name);
    let path = root.path(&changed.name);
    if now.as_ref() != Some(&changed.after) {
        return Step::Foreign(changed, now);
    }
    let result = match &changed.before {
        Some(before) => write_file(&path, before),
        None => fs::remove_file(&path),
    };
    match result {
        Ok(()) => Step::Done(changed),
        Err(error) => Step::Failed(changed.name, error),
    }
}

/// Whole or not at all: a crash in the middle leaves the old file.
fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.draft"));
    fs::write(&draft, text)?;
    fs::rename(&draft, path)
}

/// A setting without the blanks that the kernel chooses.
fn words(text: &str) -> String {
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
