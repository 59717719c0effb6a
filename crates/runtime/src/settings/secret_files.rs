//! Secret settings from files.
//!
//! A setting is secret if `--help` hides the value of its variable (`hide_env_values`). Each one gets a companion: the
//! setting `--key (KEY)` can also be given as `--key-file (KEY_FILE)`, the path of a file with the value. So a secret
//! needs to be neither in the environment, which child processes inherit, nor on the command line, which everybody on
//! the machine can read.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, value_parser};

/// Largest file of a secret. A list of old master keys or a URL is far smaller.
const MAX_SECRET_FILE_BYTES: u64 = 64 * 1024;

/// A secret setting and its companion.
#[derive(Debug)]
struct SecretSetting {
    /// The id of the setting.
    id: String,
    /// Its flag without the dashes.
    long: &'static str,
    /// The id and the flag of its companion.
    file: &'static str,
}

/// The values that were read from files.
#[derive(Debug, Default)]
pub(super) struct FileValues {
    /// The command line with a flag for each of these values.
    pub(super) args: Vec<OsString>,
    /// The flags whose value came from a file, without the dashes.
    pub(super) flags: Vec<&'static str>,
}

/// Adds the companion of each secret setting to a command.
pub(super) fn add_companions(command: Command) -> Command {
    let secrets: Vec<Arg> = command.get_arguments().filter(|arg| is_secret(arg)).cloned().collect();
    secrets.iter().fold(command, |command, secret| command.arg(companion(secret)))
}

/// Reads the files that the companions name.
///
/// # Errors
/// A line that names the setting: when a secret is given in both forms, or a file cannot be used.
pub(super) fn read_files(command: &Command, args: Vec<OsString>) -> Result<FileValues, ReadError> {
    let secrets = list_secrets(command);
    // The value of a secret is not validated here, because an empty variable may stand beside its file.
    let lenient = secrets.iter().fold(command.clone(), |command, secret| {
        command.mut_arg(&secret.id, |arg| arg.required(false).value_parser(value_parser!(OsString)))
    });
    let matches = lenient.try_get_matches_from(args.clone()).map_err(ReadError::CommandLine)?;
    let mut values = FileValues { args, flags: Vec::new() };
    for secret in secrets {
        let Some(path) = given_path(&matches, secret.file) else { continue };
        let name = |flag: &str| super::setting_name(&format!("--{flag}"), command);
        if is_given(&matches, &secret.id) {
            let both = format!(
                "settings {} and {} exclude each other; give one of them",
                name(secret.long),
                name(secret.file)
            );
            return Err(ReadError::Line(both));
        }
        let value = read_secret_file(&path).map_err(|error| {
            ReadError::Line(format!("setting {} is not valid: {error}", name(secret.file)))
        })?;
        values.args.push(format!("--{}={value}", secret.long).into());
        values.flags.push(secret.long);
    }
    Ok(values)
}

/// The reason why the files of secret settings were not read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The command line cannot be parsed, or it asks for help.
    CommandLine(clap::Error),
    /// A line that names the setting.
    Line(String),
}

/// Returns the id of the companion of a flag.
pub(super) fn companion_flag(long: &str) -> String {
    format!("{long}-file")
}

fn is_secret(arg: &Arg) -> bool {
    arg.is_hide_env_values_set() && arg.get_long().is_some() && arg.get_env().is_some()
}

/// Creates the companion of a secret setting. Its names live as long as the process, as all names of settings do.
fn companion(secret: &Arg) -> Arg {
    let long = secret.get_long().unwrap_or_default();
    let env = secret.get_env().unwrap_or_default().to_string_lossy();
    let flag: &'static str = companion_flag(long).leak();
    let variable: &'static str = format!("{env}_FILE").leak();
    let help: &'static str = format!("File with the value of --{long}, in place of {env}").leak();
    let heading = secret.get_help_heading().map(|heading| &*heading.to_owned().leak());
    Arg::new(flag)
        .long(flag)
        .env(variable)
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .help(help)
        .help_heading(heading)
}

fn list_secrets(command: &Command) -> Vec<SecretSetting> {
    let args: Vec<&Arg> = command.get_arguments().collect();
    let secrets = args.iter().filter(|arg| is_secret(arg)).filter_map(|arg| {
        let long: &'static str = arg.get_long()?.to_owned().leak();
        let file: &'static str = companion_flag(long).leak();
        Some(SecretSetting { id: arg.get_id().to_string(), long, file })
    });
    secrets.collect()
}

/// Whether a setting is given by its flag or its variable. An empty variable counts as not given, because tools such as
/// Compose pass one for what is not set.
fn is_given(matches: &ArgMatches, id: &str) -> bool {
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => true,
        Some(ValueSource::EnvVariable) => {
            matches.get_raw(id).is_some_and(|mut values| values.any(|value| !value.is_empty()))
        }
        _ => false,
    }
}

fn given_path(matches: &ArgMatches, file: &str) -> Option<PathBuf> {
    let path = matches.get_one::<PathBuf>(file)?;
    (!path.as_os_str().is_empty()).then(|| path.clone())
}

/// Reads the value in a file, without the line ends at its end.
///
/// The error does not name the path, because a secret may have been put in its place.
fn read_secret_file(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("the file cannot be read: {}", error.kind());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_SECRET_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SECRET_FILE_BYTES {
        return Err(format!("the file has more than {} KiB", MAX_SECRET_FILE_BYTES / 1024));
    }
    let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("the file is empty".to_owned()),
        value => Ok(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<String, String> {
        let path = std::env::temp_dir().join(format!("postrider-secret-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).expect("a file");
        let value = read_secret_file(&path);
        std::fs::remove_file(&path).expect("removed");
        value
    }

    #[test]
    fn the_line_end_at_the_end_is_removed_and_nothing_else() {
        assert_eq!(read(b"hush"), Ok("hush".to_owned()));
        assert_eq!(read(b" hush \r\n"), Ok(" hush ".to_owned()));
        assert_eq!(read(b"one\ntwo\n\n"), Ok("one\ntwo".to_owned()));
    }

    #[test]
    fn a_file_that_is_empty_too_large_or_no_text_is_refused() {
        let large = vec![b'x'; usize::try_from(MAX_SECRET_FILE_BYTES).expect("small") + 1];
        for (content, expected) in [
            (&b""[..], "the file is empty"),
            (b"\r\n", "the file is empty"),
            (b"\xff\xfe", "the file is not UTF-8 text"),
            (&large, "the file has more than 64 KiB"),
        ] {
            assert_eq!(read(content), Err(expected.to_owned()));
        }
        assert_eq!(read(&large[1..]).map(|value| value.len()), Ok(large.len() - 1));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_without_its_path() {
        for path in ["/nothing/there", "/"] {
            let error = read_secret_file(Path::new(path)).expect_err("unreadable");
            assert!(error.starts_with("the file cannot be read: ") && !error.contains(path), "{error}");
        }
    }
}
