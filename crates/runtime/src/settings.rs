//! Settings from flags and environment variables.
//!
//! `--help` lists both names of each setting. An invalid setting ends the process with one line that names it.

use std::process::exit;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

/// Exit status after an invalid or missing setting.
pub const EXIT_BAD_SETTING: i32 = 2;

/// Parses the settings of a service.
///
/// If a setting is invalid, it prints one line and exits with [`EXIT_BAD_SETTING`].
#[must_use]
pub fn parse_settings<T: Parser>() -> T {
    match T::try_parse() {
        Ok(settings) => settings,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => refuse(&describe_error(&error, &T::command())),
    }
}

/// Ends the process because of a setting, for errors that appear only when the setting is used.
pub fn refuse(line: &str) -> ! {
    eprintln!("{line}");
    exit(EXIT_BAD_SETTING)
}

/// Describes an invalid setting in one line, without its value, because the value may be a secret.
fn describe_error(error: &clap::Error, command: &Command) -> String {
    let given = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => arg.clone(),
        Some(ContextValue::Strings(args)) => args.join(", "),
        _ => return first_line(error),
    };
    let setting = setting_name(&given, command);
    match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("setting {setting} is missing; --help describes it"),
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
    let flag = given.split([' ', '=']).next().unwrap_or(given);
    let arg =
        command.get_arguments().find(|arg| arg.get_long().is_some_and(|long| flag == format!("--{long}")));
    match arg.and_then(clap::Arg::get_env) {
        Some(variable) => format!("{flag} ({})", variable.to_string_lossy()),
        None => flag.to_owned(),
    }
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
    use clap::CommandFactory as _;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "service")]
    struct Sample {
        #[arg(long, env = "SAMPLE_KEY", hide_env_values = true)]
        key: String,
        #[arg(long, env = "SAMPLE_SPAN", value_parser = parse_duration, default_value = "5s")]
        span: Duration,
    }

    fn line(args: &[&str]) -> String {
        let args = std::iter::once(&"service").chain(args);
        describe_error(&Sample::try_parse_from(args).expect_err("rejected"), &Sample::command())
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
    }

    #[test]
    fn durations_are_parsed_as_people_write_them() {
        assert_eq!(parse_duration("20m"), Ok(Duration::from_secs(1200)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        assert!(parse_duration_within("0s", Duration::from_secs(9)).is_err());
        assert!(parse_duration_within("10s", Duration::from_secs(9)).is_err());
    }
}
