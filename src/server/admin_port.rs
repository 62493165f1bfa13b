//! Opening the admin port: where it is, and with which key.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::adapt;
use super::watch::say;
use crate::admin::{Admin, ApiKey, Backend, Host, KeyError, is_open_to_all};
use crate::config::{Config, Endpoint as Listen};
use crate::sys::{Endpoint, ListenOptions};

/// The variable that may hold the key itself.
const KEY_VARIABLE: &str = "THRONG_ADMIN_KEY";

/// Claims the address of the admin port, before anything else is done.
///
/// Whoever wants a second server on one machine should not have to name a second admin port, so the
/// default address is only a wish: if it is taken, there is no admin port. One that was written down is
/// an order.
pub(super) fn claim(config: &Config) -> anyhow::Result<Option<Endpoint>> {
    let Some(listen) = &config.admin else {
        return Ok(None);
    };
    let options = ListenOptions {
        backlog: 128,
        // Health checks connect and are gone; a second of deferral would be one of theirs.
        defer_accept_s: 0,
        ..ListenOptions::default()
    };
    match Endpoint::claim(&adapt::address(listen), options) {
        Ok(endpoint) => Ok(Some(endpoint)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_default(listen) => {
            say(&format!(
                "no admin port: {listen} is taken. To have one: --admin 127.0.0.1:PORT"
            ));
            Ok(None)
        }
        Err(error) => Err(error)
            .with_context(|| format!("cannot listen on {listen} (--admin; or --admin off)")),
    }
}

fn is_default(listen: &Listen) -> bool {
    Config::default().admin.as_ref() == Some(listen)
}

/// Opens the port, and says where the key is for the start-up report.
pub(super) fn open(
    endpoint: Endpoint,
    config: &Config,
    host: Arc<dyn Host>,
    backend: Arc<dyn Backend>,
) -> anyhow::Result<(Admin, String)> {
    let (key, whereabouts) = match find_key(config, |name| std::env::var_os(name)) {
        Ok((key, whereabouts)) => (Some(key), whereabouts),
        Err(why) if config.admin_key_file.is_some() => anyhow::bail!("{why}"),
        Err(why) => (None, format!("no API key: {why}")),
    };
    let admin = Admin::open(endpoint, key, host, backend).context("cannot open the admin port")?;
    Ok((admin, whereabouts))
}

/// The key, and where it was found, or why there is none. A key that is there and is no good is not
/// replaced by another: its owner would not know.
fn find_key(
    config: &Config,
    var: impl Fn(&str) -> Option<OsString>,
) -> Result<(ApiKey, String), String> {
    let fault = |what: &str, error: KeyError| format!("{what}: {error}");
    let from_file = |path: &Path| {
        let name = path.display().to_string();
        if is_open_to_all(path) {
            say(&format!(
                "everybody can read the key to the API: chmod 640 {name}"
            ));
        }
        let key = ApiKey::read(path).map_err(|error| fault(&name, error))?;
        Ok((key, format!("API key in {name}")))
    };
    if let Some(path) = &config.admin_key_file {
        return from_file(path);
    }
    if let Some(text) = var(KEY_VARIABLE) {
        let key = ApiKey::new(&text.to_string_lossy());
        let key = key.map_err(|error| fault(KEY_VARIABLE, error))?;
        return Ok((key, format!("API key from {KEY_VARIABLE}")));
    }
    let credential =
        var("CREDENTIALS_DIRECTORY").map(|found| PathBuf::from(found).join("admin.key"));
    if let Some(path) = credential.filter(|path| path.exists()) {
        return from_file(&path);
    }
    let directory = state_directory(var).ok_or("--admin-key-file FILE names one")?;
    match ApiKey::keep_in(&directory) {
        Ok((key, path)) => Ok((key, format!("API key in {}", path.display()))),
        Err(error) => {
            let name = directory.join("admin.key").display().to_string();
            Err(fault(&name, error))
        }
    }
}

/// Where a user's programs keep what they will want again: systemd's word first, then the desktop's.
fn state_directory(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| Some(PathBuf::from(var(name)?)).filter(|path| path.is_absolute());
    path("STATE_DIRECTORY")
        .or_else(|| Some(path("XDG_STATE_HOME")?.join("throng")))
        .or_else(|| Some(path("HOME")?.join(".local/state/throng")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn keys_are_found_in_the_order_that_is_documented() {
        let base = std::env::temp_dir().join(format!("throng-keys-{}", std::process::id()));
        let credentials = base.join("credentials");
        fs::create_dir_all(&credentials).unwrap();
        fs::write(credentials.join("admin.key"), "of-the-credentials").unwrap();
        fs::write(base.join("given"), "that-was-given-to-us").unwrap();
        let var = |names: &'static [&'static str]| {
            let (credentials, home) = (credentials.clone(), base.join("home"));
            move |name: &str| match name {
                _ if !names.contains(&name) => None,
                KEY_VARIABLE => Some("of-the-environment".into()),
                "CREDENTIALS_DIRECTORY" => Some(credentials.clone().into()),
                "HOME" => Some(home.clone().into()),
                _ => None,
            }
        };
        let all = [KEY_VARIABLE, "CREDENTIALS_DIRECTORY", "HOME"].as_slice();
        let all: &'static [&'static str] = Box::leak(all.into());
        let mut config = Config::default();
        let is = |config: &Config, names, text: &str| {
            let (key, whereabouts) = find_key(config, var(names)).unwrap();
            assert!(key.is(text), "{whereabouts}");
            assert!(!whereabouts.contains(text), "{whereabouts}");
        };
        is(&config, all, "of-the-environment");
        is(&config, &all[1..], "of-the-credentials");
        let (made, whereabouts) = find_key(&config, var(&all[2..])).unwrap();
        assert!(
            whereabouts.ends_with("home/.local/state/throng/admin.key"),
            "{whereabouts}"
        );
        assert_eq!(
            find_key(&config, var(&all[2..])).unwrap().0,
            made,
            "it is kept"
        );
        let why = find_key(&config, var(&[])).unwrap_err();
        assert!(why.contains("--admin-key-file"), "{why}");
        config.admin_key_file = Some(base.join("given"));
        is(&config, all, "that-was-given-to-us");
        config.admin_key_file = Some(base.join("none"));
        let why = find_key(&config, var(all)).unwrap_err();
        assert!(why.contains("none: No such file"), "{why}");
        fs::remove_dir_all(&base).unwrap();
    }
}
