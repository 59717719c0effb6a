//! Settings from flags and environment variables.
//!
//! `--help` lists both names of each setting. An invalid setting ends the process with one line that names it. A secret
//! setting can also be given as a file ([`secret_files`]).

mod secret_files;

use std::ffi::OsString;
use std::process::exit;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

use secret_files::ReadError;

/// Exit status after an invalid or missing setting.
pub const EXIT_BAD_SETTING: i32 = 2;

/// Parses the settings of a service.
///
/// If a setting is invalid, it prints one line and exits with [`EXIT_BAD_SETTING`].
#[must_use]
pub fn parse_settings<T: Parser>() -> T {
    match parse_args(std::env::args_os().collect()) {
        Ok(settings) => settings,
        Err(ReadError::CommandLine(error)) => error.exit(),
        Err(ReadError::Line(line)) => refuse(&line),
    }
}

/// Parses the settings, those of secret files included. The only `CommandLine` error is one that asks for help or the
/// version.
fn parse_args<T: Parser>(args: Vec<OsString>) -> Result<T, ReadError> {
    let command = secret_files::add_companions(T::command());
    let describe = |error: clap::Error, from_files: &[&str]| {
        if error.use_stderr() {
            ReadError::Line(describe_error(&error, &command, from_files))
        } else {
            ReadError::CommandLine(error)
        }
    };
    let values = secret_files::read_files(&command, args).map_err(|error| match error {
        ReadError::CommandLine(error) => describe(error, &[]),
        line @ ReadError::Line(_) => line,
    })?;
    let parsed = command.clone().try_get_matches_from(values.args);
    let parsed = parsed.and_then(|mut matches| T::from_arg_matches_mut(&mut matches));
    parsed.map_err(|error| describe(error, &values.flags))
}

/// Ends the process because of a setting, for errors that appear only when the setting is used.
pub fn refuse(line: &str) -> ! {
    eprintln!("{line}");
    exit(EXIT_BAD_SETTING)
}

/// Describes an invalid setting in one line, without its value, because the value may be a secret. The values of the
/// flags `from_files` came from files.
fn describe_error(error: &clap::Error, command: &Command, from_files: &[&str]) -> String {
    let given = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => arg.clone(),
        Some(ContextValue::Strings(args)) => args.join(", "),
        _ => return first_line(error),
    };
    let setting = match from_files.iter().find(|flag| flag_of(&given) == format!("--{flag}")) {
        Some(flag) => setting_name(&format!("--{}", secret_files::companion_flag(flag)), command),
        None => setting_name(&given, command),
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("setting {setting} is missing; --help describes it"),
        // It may be a secret behind a space too many.
        ErrorKind::UnknownArgument if !given.starts_with('-') => {
            "a value was given without its setting; --help lists the settings".to_owned()
        }
        ErrorKind::UnknownArgument => format!("there is no setting {given}; --help lists them"),
        _ => match std::error::Error::source(error) {
            Some(cause) => format!("setting {setting} is not valid: {cause}"),
            None => format!("setting {setting} is not valid: {}", possible_values(error)),
        },
    }
}

fn possible_values(error: &clap::Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => format!("it is one of {}", values.join(", ")),
        _ => "--help describes it".to_owned(),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Returns `--flag (VARIABLE)` for the argument that clap calls `--flag <VALUE>`.
fn setting_name(given: &str, command: &Command) -> String {
    let flag = flag_of(given);
    let arg =
        command.get_arguments().find(|arg| arg.get_long().is_some_and(|long| flag == format!("--{long}")));
    match arg.and_then(clap::Arg::get_env) {
        Some(variable) => format!("{flag} ({})", variable.to_string_lossy()),
        None => flag.to_owned(),
    }
}

/// Returns the flag of what clap calls `--flag <VALUE>`.
fn flag_of(given: &str) -> &str {
    given.split([' ', '=']).next().unwrap_or(given)
}

/// Parses a duration such as `5s`, `2m`, `1h` or `7d`.
///
/// # Errors
/// When the text is not a duration.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|e| format!("{e}; write it like 5s, 2m, 1h or 7d"))
}

/// Parses a duration that is longer than zero and at most `max`.
///
/// # Errors
/// When the text is not a duration, or the duration is outside the limits.
pub fn parse_duration_within(text: &str, max: Duration) -> Result<Duration, String> {
    match parse_duration(text)? {
        duration if duration.is_zero() => Err("it must be longer than nothing".to_owned()),
        duration if duration > max => Err(format!("it must be at most {}", humantime::format_duration(max))),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "service")]
    struct Sample {
        #[arg(long, env = "SAMPLE_KEY", hide_env_values = true, value_parser = parse_key)]
        key: String,
        #[arg(long, env = "SAMPLE_SPAN", value_parser = parse_duration, default_value = "5s")]
        span: Duration,
    }

    fn parse_key(text: &str) -> Result<String, String> {
        if text.starts_with('!') { Err("it begins with !".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn parse(args: &[&str]) -> Result<Sample, String> {
        let args = std::iter::once(&"service").chain(args).map(OsString::from).collect();
        parse_args(args).map_err(|error| match error {
            ReadError::CommandLine(error) => error.to_string(),
            ReadError::Line(line) => line,
        })
    }

    fn line(args: &[&str]) -> String {
        parse(args).expect_err("rejected")
    }

    /// A file with this content until the value is dropped.
    struct SecretFile(std::path::PathBuf);

    impl SecretFile {
        fn with(content: &str) -> Self {
            let path = std::env::temp_dir().join(format!("postrider-setting-{}", uuid::Uuid::new_v4()));
            std::fs::write(&path, content).expect("a file");
            Self(path)
        }

        fn flag(&self) -> String {
            format!("--key-file={}", self.0.display())
        }
    }

    impl Drop for SecretFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_secret_setting_can_be_given_as_a_file() {
        let file = SecretFile::with("from the file\n");
        assert_eq!(parse(&[&file.flag()]).map(|sample| sample.key), Ok("from the file".to_owned()));
        assert_eq!(parse(&["--key", "x"]).map(|sample| sample.key), Ok("x".to_owned()));
        let both = line(&["--key", "x", &file.flag()]);
        assert_eq!(
            both,
            "settings --key (SAMPLE_KEY) and --key-file (SAMPLE_KEY_FILE) exclude each other; give one of them"
        );
        assert_eq!(
            line(&["--key-file=/nothing/there"]),
            "setting --key-file (SAMPLE_KEY_FILE) is not valid: the file cannot be read: entity not found"
        );
    }

    #[test]
    fn an_invalid_value_in_a_file_is_reported_with_the_file_setting() {
        let file = SecretFile::with("!s3cret");
        let line = line(&[&file.flag()]);
        assert!(line.starts_with("setting --key-file (SAMPLE_KEY_FILE) is not valid: "), "{line}");
        assert!(!line.contains("s3cret") && !line.contains('\n'), "{line}");
    }

    #[test]
    fn the_help_lists_the_file_of_a_secret_setting_alone() {
        let help = line(&["--help"]);
        assert!(help.contains("--key-file") && help.contains("SAMPLE_KEY_FILE"), "{help}");
        assert!(!help.contains("SAMPLE_SPAN_FILE"), "{help}");
    }

    #[test]
    fn a_missing_setting_is_named_with_flag_and_variable() {
        assert_eq!(line(&[]), "setting --key (SAMPLE_KEY) is missing; --help describes it");
    }

    #[test]
    fn an_invalid_setting_is_named_in_one_line_without_its_value() {
        let line = line(&["--key", "s3cret", "--span", "soon"]);
        assert!(line.starts_with("setting --span (SAMPLE_SPAN) is not valid: "), "{line}");
        assert!(!line.contains('\n') && !line.contains("s3cret"), "{line}");
    }

    #[test]
    fn an_unknown_flag_is_reported_in_one_line() {
        assert_eq!(line(&["--key", "x", "--nope"]), "there is no setting --nope; --help lists them");
        // "--key = s3cret" gives the key the value "=".
        let stray = line(&["--key", "=", "s3cret"]);
        assert_eq!(stray, "a value was given without its setting; --help lists the settings");
    }

    #[test]
    fn durations_are_parsed_as_people_write_them() {
        assert_eq!(parse_duration("20m"), Ok(Duration::from_secs(1200)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        assert!(parse_duration_within("0s", Duration::from_secs(9)).is_err());
        assert!(parse_duration_within("10s", Duration::from_secs(9)).is_err());
    }
}
