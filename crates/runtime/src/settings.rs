//! Settings from flags and environment: `--help` lists both, a bad one ends the process with one
//! line that names it.

use std::process::exit;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

/// The exit status for a bad or missing setting.
pub const EXIT_BAD_SETTING: i32 = 2;

/// Reads the settings of a service, or says in one line what is wrong and exits with 2.
#[must_use]
pub fn parse<T: Parser>() -> T {
    match T::try_parse() {
        Ok(settings) => settings,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => refuse(&describe(&error, &T::command())),
    }
}

/// Ends the process over a setting that only shows as wrong when it is used.
pub fn refuse(line: &str) -> ! {
    eprintln!("{line}");
    exit(EXIT_BAD_SETTING)
}

/// One line about a wrong setting. It never repeats a value: it may be a secret.
fn describe(error: &clap::Error, command: &Command) -> String {
    let given = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => arg.clone(),
        Some(ContextValue::Strings(args)) => args.join(", "),
        _ => return first_line(error),
    };
    let setting = name(&given, command);
    match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("setting {setting} is missing; --help describes it"),
        ErrorKind::UnknownArgument => format!("there is no setting {given}; --help lists them"),
        _ => match std::error::Error::source(error) {
            Some(cause) => format!("setting {setting} is not valid: {cause}"),
            None => format!("setting {setting} is not valid: {}", possible(error)),
        },
    }
}

fn possible(error: &clap::Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => format!("it is one of {}", values.join(", ")),
        _ => "--help describes it".to_owned(),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// `--flag (VARIABLE)` for what clap calls `--flag <VALUE>`.
fn name(given: &str, command: &Command) -> String {
    let flag = given.split([' ', '=']).next().unwrap_or(given);
    let arg =
        command.get_arguments().find(|arg| arg.get_long().is_some_and(|long| flag == format!("--{long}")));
    match arg.and_then(clap::Arg::get_env) {
        Some(variable) => format!("{flag} ({})", variable.to_string_lossy()),
        None => flag.to_owned(),
    }
}

/// Reads a time span such as `5s`, `2m`, `1h` or `7d`.
///
/// # Errors
/// When it is not one.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|e| format!("{e}; write it like 5s, 2m, 1h or 7d"))
}

/// Reads a time span that is longer than nothing and at most `longest`.
///
/// # Errors
/// When it is not one, or outside the limits.
pub fn duration_within(text: &str, longest: Duration) -> Result<Duration, String> {
    match duration(text)? {
        span if span.is_zero() => Err("it must be longer than nothing".to_owned()),
        span if span > longest => Err(format!("it must be at most {}", humantime::format_duration(longest))),
        span => Ok(span),
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
        #[arg(long, env = "SAMPLE_SPAN", value_parser = duration, default_value = "5s")]
        span: Duration,
    }

    fn line(args: &[&str]) -> String {
        let args = std::iter::once(&"service").chain(args);
        describe(&Sample::try_parse_from(args).expect_err("refused"), &Sample::command())
    }

    #[test]
    fn a_missing_setting_is_named_with_flag_and_variable() {
        assert_eq!(line(&[]), "setting --key (SAMPLE_KEY) is missing; --help describes it");
    }

    #[test]
    fn a_bad_setting_is_named_in_one_line_without_its_value() {
        let line = line(&["--key", "s3cret", "--span", "soon"]);
        assert!(line.starts_with("setting --span (SAMPLE_SPAN) is not valid: "), "{line}");
        assert!(!line.contains('\n') && !line.contains("s3cret"), "{line}");
    }

    #[test]
    fn an_unknown_flag_is_one_line_too() {
        assert_eq!(line(&["--key", "x", "--nope"]), "there is no setting --nope; --help lists them");
    }

    #[test]
    fn spans_read_as_people_write_them() {
        assert_eq!(duration("20m"), Ok(Duration::from_secs(1200)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        assert!(duration_within("0s", Duration::from_secs(9)).is_err());
        assert!(duration_within("10s", Duration::from_secs(9)).is_err());
    }
}
