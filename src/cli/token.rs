//! `throng token`: a token for a user, signed with the configured secret or the development key.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::value::RawValue;

use super::dev_cert::value;
use crate::auth::{NewToken, USER_BYTES_MAX, dev_key, sign};
use crate::config::problem::json_string;
use crate::config::quantity::parse_duration_ms;
use crate::config::suggest::nearest;
use crate::config::tokens::{Algorithm, Material, Secret};
use crate::config::{Place, Problem, Tokens, file, resolve};
use crate::sys::{clock, random};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--help`.
    pub help: bool,
    /// `--user`.
    pub user: String,
    /// `--expires`.
    pub expires_ms: u64,
    /// `--channel`.
    pub channel: Option<String>,
    /// `--info`.
    pub about: Option<String>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--json`.
    pub json: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            help: false,
            user: String::new(),
            expires_ms: 3_600_000,
            channel: None,
            about: None,
            config: None,
            json: false,
        }
    }
}

/// Longer than anybody should hold a token.
const EXPIRES_MS_MAX: u64 = 10 * 365 * 24 * 3_600_000;

impl Options {
    /// What the rest of a command line asks for, and everything that was not understood.
    pub fn parse(mut rest: VecDeque<OsString>) -> (Self, Vec<Problem>) {
        let (mut options, mut problems) = (Self::default(), Vec::new());
        while let Some(arg) = rest.pop_front() {
            let word = arg.to_string_lossy().into_owned();
            if let Err((cause, cure)) = options.argument(&word, &mut rest) {
                problems.push(Problem::error(Place::CommandLine, cause, cure));
            }
        }
        if options.user.is_empty() && !options.help && problems.is_empty() {
            let cure = "write throng token --user bob";
            problems.push(Problem::error(Place::CommandLine, "no user is named", cure));
        }
        (options, problems)
    }

    fn argument(
        &mut self,
        word: &str,
        rest: &mut VecDeque<OsString>,
    ) -> Result<(), (String, String)> {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        match name {
            "--help" | "-h" => self.help = true,
            "--json" => self.json = true,
            "--config" => self.config = Some(value(name, "FILE", attached, rest)?.into()),
            "--channel" => self.channel = Some(value(name, "CHANNEL", attached, rest)?),
            "--user" => {
                self.user = value(name, "NAME", attached, rest)?;
                if self.user.is_empty() || self.user.len() > USER_BYTES_MAX {
                    let cause = format!("--user has {} bytes", self.user.len());
                    return Err((cause, format!("write 1 to {USER_BYTES_MAX}")));
                }
            }
            "--info" => {
                let text = value(name, "JSON", attached, rest)?;
                if serde_json::from_str::<&RawValue>(&text).is_err() {
                    let cause = format!("--info {text:?} is not JSON");
                    return Err((cause, "write --info '{\"name\":\"Bob\"}'".to_owned()));
                }
                self.about = Some(text);
            }
            "--expires" => {
                let text = value(name, "TIME", attached, rest)?;
                let ms = parse_duration_ms(&text).ok();
                let is_fit = |ms: &u64| (1_000..=EXPIRES_MS_MAX).contains(ms);
                self.expires_ms = ms.filter(is_fit).ok_or_else(|| {
                    let cause = format!("--expires {text:?} is no time from 1s to ten years");
                    (cause, "write --expires 1h".to_owned())
                })?;
            }
            _ => {
                let cure = match nearest(name, FLAGS) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "throng token --help lists the flags".to_owned(),
                };
                return Err((format!("unknown argument {name:?}"), cure));
            }
        }
        Ok(())
    }
}

const FLAGS: [&str; 7] = [
    "--help",
    "--json",
    "--config",
    "--channel",
    "--user",
    "--info",
    "--expires",
];

/// What to say about a token: on standard output, and beside it.
#[derive(Debug)]
pub struct Made {
    /// The token, or an object about it.
    pub text: String,
    /// A remark for a person, if the development key was used.
    pub note: Option<String>,
}

/// Signs a token. Errors are those of the configuration, or of the development key.
pub fn make(options: &Options) -> Result<Made, Vec<Problem>> {
    let tokens = match &options.config {
        None => Tokens::default(),
        Some(path) => {
            resolve(file::read(path), Vec::new(), Vec::new())?
                .config
                .auth
                .tokens
        }
    };
    let (secret, kid, note) = signer(&tokens, options).map_err(|problem| vec![problem])?;
    let expires_at_s = clock::unix_s() + options.expires_ms / 1_000;
    let about = options
        .about
        .as_deref()
        .and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let new = NewToken {
        user: &options.user,
        expires_at_s,
        channel: options.channel.as_deref(),
        about,
        issuer: &tokens.issuer,
        audience: &tokens.audience,
    };
    let token = sign(&new, &secret, kid.as_deref());
    Ok(Made {
        text: match options.json {
            true => format!(
                "{{\"token\":{},\"user\":{},\"expires_at\":{expires_at_s}}}\n",
                json_string(&token),
                json_string(&options.user)
            ),
            false => format!("{token}\n"),
        },
        note,
    })
}

/// The secret to sign with, its name, and what to say about it.
fn signer(
    tokens: &Tokens,
    options: &Options,
) -> Result<(Secret, Option<String>, Option<String>), Problem> {
    if tokens.is_empty() {
        let cure = "configure a key in [[auth.keys]] and name the file with --config";
        let Some(path) = dev_key::path(|name| std::env::var_os(name)) else {
            let cause =
                "there is no place for a development key: neither XDG_STATE_HOME nor HOME is set";
            return Err(Problem::error(Place::CommandLine, cause, cure));
        };
        let mut fresh = [0; dev_key::KEY_BYTES];
        if let Err(error) = random::fill(&mut fresh) {
            let cause = format!("no random numbers for a development key: {error}");
            return Err(Problem::error(Place::CommandLine, cause, cure));
        }
        let secret = dev_key::load_or_make(&path, fresh)?;
        let note = format!(
            "signed with the development key {}: good for a server without keys, run by this user",
            path.display()
        );
        return Ok((secret, None, Some(note)));
    }
    let is_secret = |key: &&crate::config::tokens::KeyEntry| key.algorithm == Algorithm::Hs256;
    let Some(key) = tokens.keys.iter().find(is_secret) else {
        let place = options.config.as_ref().map_or(Place::CommandLine, |path| {
            Place::File(path.to_string_lossy().into())
        });
        return Err(Problem::error(
            place,
            "its keys can check tokens and not sign them",
            "sign where the private key is, or add a secret: algorithm = \"HS256\"",
        ));
    };
    let secret = match &key.material {
        Material::Secret(secret) => secret.clone(),
        Material::File(path) => crate::auth::secret_of(path)?,
    };
    Ok((secret, key.kid.clone(), None))
}

/// `throng token --help`.
pub fn help() -> String {
    "\
Usage: throng token --user NAME [--expires TIME] [--channel CHANNEL] [--config FILE] [--json]

Prints a token (JWT, HS256) that a server with the same key takes: signed with the first secret of
[[auth.keys]] in FILE, or without a file with the development key, which servers without keys use.
It is kept in the user's state directory and made when it is first needed.

  --user NAME                 Who it is for
  --expires TIME              How long it is good for (default: 1h)
  --channel CHANNEL           For that user's subscription to a channel, not for a connection
  --info JSON                 What others in a channel see of this user
  --config FILE               The configuration of the server it is for
  --json                      One JSON object: token, user, expires_at
  --help, -h                  Print this text

Examples:
  throng token --user bob
  websocat \"ws://127.0.0.1:9000/ws/chat?token=$(throng token --user bob)\"
  throng token --user bob --channel rooms:secret --expires 10m --config throng.toml
"
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Guard;
    use crate::config::Auth;

    fn parsed(line: &str) -> (Options, Vec<String>) {
        let words = line.split_whitespace().map(OsString::from).collect();
        let (options, problems) = Options::parse(words);
        let causes = problems.into_iter().map(|problem| problem.cause);
        (options, causes.collect())
    }

    #[test]
    fn flags_say_what_is_wanted() {
        let line = "--user=bob --expires 10m --channel a:b --info {\"n\":1} --config t.toml --json";
        let (options, causes) = parsed(line);
        assert_eq!(causes, [""; 0]);
        let expected = Options {
            help: false,
            user: "bob".to_owned(),
            expires_ms: 600_000,
            channel: Some("a:b".to_owned()),
            about: Some("{\"n\":1}".to_owned()),
            config: Some("t.toml".into()),
            json: true,
        };
        assert_eq!(options, expected);
        assert!(parsed("--help").1.is_empty());
    }

    #[test]
    fn mistakes_are_all_reported() {
        let (_, causes) = parsed("--usr bob --expires soon --expires 0 --info {x} --channel");
        assert_eq!(causes.len(), 6, "{causes:?}");
        assert!(causes[0].contains("--usr"));
        assert_eq!(parsed("").1, ["no user is named"]);
        assert_eq!(parsed("--user=").1.len(), 1);
    }

    #[test]
    fn a_configured_server_takes_what_is_signed() {
        let folder = std::env::temp_dir().join(format!("throng-token-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let secret = "0123456789abcdef0123456789abcdef";
        let texts = [
            format!(
                "[auth]\nissuer = \"me\"\n[[auth.keys]]\nalgorithm = \"HS256\"\nkid = \"a\"\nsecret = \"{secret}\"\n"
            ),
            "[[auth.keys]]\nalgorithm = \"HS256\"\nfile = \"secret\"\n".to_owned(),
        ];
        std::fs::write(folder.join("secret"), format!("{secret}\n")).unwrap();
        for text in texts {
            let path = folder.join("t.toml");
            std::fs::write(&path, text).unwrap();
            let options = Options {
                user: "bob".to_owned(),
                config: Some(path.clone()),
                ..Options::default()
            };
            let made = make(&options).unwrap();
            assert_eq!(made.note, None);
            let auth: Auth = resolve(file::read(&path), Vec::new(), Vec::new())
                .unwrap()
                .config
                .auth;
            let guard = Guard::load(&auth, None).unwrap();
            let identity = guard.connection(made.text.trim(), clock::unix_s()).unwrap();
            assert_eq!(&*identity.user, "bob");
        }
        let public = "[[auth.keys]]\nalgorithm = \"EdDSA\"\nfile = \"ed.pem\"\n";
        let path = folder.join("public.toml");
        std::fs::write(&path, public).unwrap();
        let options = Options {
            config: Some(path),
            ..Options::default()
        };
        assert!(make(&options).unwrap_err()[0].cause.contains("not sign"));
        let _ = std::fs::remove_dir_all(&folder);
    }
}
