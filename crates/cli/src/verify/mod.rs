//! Explains why the signature of a webhook request is refused.
//!
//! The check needs the request and the secret only. With `--webhook`, the platform is asked for the secret and for the
//! body that it sent, so that a wrong secret and a changed body can be told apart.

mod diagnose;
mod platform;
mod reencode;
mod request;

use std::fs::File;
use std::io::{Read, stdin};

use chrono::{DateTime, Utc};
use clap::{Args, ValueHint};
use serde_json::json;

use self::diagnose::{BodyIds, Evidence, NamedSecret, Verdict, judge};
use self::request::Recorded;
use crate::error::Error;
use crate::output::Output;
use crate::output::screen::Color;
use crate::session::{Common, Session};
use crate::terminal::escape_text;
use crate::time_arg::parse_past;
use crate::webhook_ref::find_webhook;

/// Bytes of a request that are read: the largest body, 256 KiB, and generous headers.
const MAX_REQUEST_BYTES: u64 = 1024 * 1024;
/// Bytes of a file with secrets that are read.
const MAX_SECRET_FILE_BYTES: u64 = 64 * 1024;
/// The variable with the secret, which has no option, because everybody could read it in the list of processes.
const SECRET_VARIABLE: &str = "POSTRIDER_WEBHOOK_SECRET";

/// Explain why the signature of a webhook request is refused
///
/// The request is a file with a whole HTTP request (request line, headers, empty line, body), or a body with the headers
/// as options. The secret comes from --secret-file, from the variable POSTRIDER_WEBHOOK_SECRET, or with --webhook from
/// the API. The exit status is 0 if a receiver accepts the request.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  postrider verify request.txt --webhook Billing
  postrider verify request.txt --secret-file secret.txt --at 2026-11-24T08:00:00Z
  postrider verify --body body.json -H 'webhook-id: 01F2SFVYVD0H873S2VRT8VQSPM' \\
    -H 'webhook-timestamp: 1764230400' -H 'webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=' \\
    --secret-file secret.txt")]
pub(crate) struct Command {
    /// File with a whole HTTP request; - for the standard input
    #[arg(value_name = "REQUEST", value_hint = ValueHint::FilePath, required_unless_present = "body")]
    request: Option<String>,
    /// File with the body alone; - for the standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "request")]
    body: Option<String>,
    /// Header of the request; can be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// File with the webhook's secret; several secrets are on a line each
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    secret_file: Option<String>,
    /// Webhook whose secret and events are read from the API: its id, the beginning of its id, or its description
    #[arg(long)]
    webhook: Option<String>,
    /// When the request arrived, such as 10m or 2026-11-24T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_past)]
    at: Option<String>,
    /// Seconds by which the timestamp may differ from the receiver's clock
    #[arg(long, value_name = "SECONDS", default_value = "300")]
    tolerance: u32,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as name: value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Verifies a request and prints the reasons.
pub(crate) async fn run(common: &Common, command: Command) -> Result<(), Error> {
    let request = read_request(&command)?;
    let now = match &command.at {
        Some(at) => {
            DateTime::parse_from_rfc3339(at).map_err(|error| Error::Usage(error.to_string()))?.to_utc()
        }
        None => Utc::now(),
    };
    let mut secrets = read_given_secrets(command.secret_file.as_deref())?;
    let mut sent = None;
    if let Some(webhook) = &command.webhook {
        let session = Session::new(common)?;
        let webhook = find_webhook(&session, webhook).await?;
        if secrets.is_empty() {
            secrets.push(platform::read_secret(&session, &webhook).await?);
        }
        let ids = BodyIds::parse(&request.body);
        if let Some(id) = request.id.clone().or(ids.id) {
            sent = Some(platform::rebuild_bodies(&session, &webhook, &id, ids.attempt_id.as_deref()).await?);
        }
    }
    if secrets.is_empty() {
        let message = format!("give the webhook's secret: --secret-file, {SECRET_VARIABLE}, or --webhook");
        return Err(Error::Usage(message));
    }
    let tolerance = i64::from(command.tolerance);
    let verdict = judge(&Evidence { request, secrets, sent, now: now.timestamp(), tolerance });
    print_verdict(Output::new(common.output), &verdict)?;
    if verdict.is_valid { Ok(()) } else { Err(Error::Unverified) }
}

fn print_verdict(output: Output, verdict: &Verdict) -> Result<(), Error> {
    if output.is_json() {
        let json = json!({"valid": verdict.is_valid, "reasons": verdict.lines});
        return output.print_resource(&json.to_string());
    }
    let color = if verdict.is_valid { Color::Good } else { Color::Bad };
    let mut lines: Vec<String> = verdict.lines.iter().map(|line| escape_text(line)).collect();
    if let Some(first) = lines.first_mut() {
        *first = output.screen.paint(first, color);
    }
    output.print_lines(&lines)
}

fn read_request(command: &Command) -> Result<Recorded, Error> {
    let name = command.body.as_deref().or(command.request.as_deref()).unwrap_or("-");
    let raw = read_bounded(name, MAX_REQUEST_BYTES)?;
    let mut request = match command.body {
        Some(_) => Recorded { body: raw, ..Recorded::default() },
        None => Recorded::parse_raw(&raw).map_err(|error| Error::Usage(format!("{name}: {error}")))?,
    };
    command.headers.iter().for_each(|(name, value)| request.add_header(name, value));
    Ok(request)
}

/// Reads the secrets of the file, or else the one of the environment.
fn read_given_secrets(file: Option<&str>) -> Result<Vec<NamedSecret>, Error> {
    let (name, text) = match file {
        Some(file) => {
            let text = String::from_utf8_lossy(&read_bounded(file, MAX_SECRET_FILE_BYTES)?).into_owned();
            (format!("the secret in {file}"), text)
        }
        None => {
            (format!("the secret in {SECRET_VARIABLE}"), std::env::var(SECRET_VARIABLE).unwrap_or_default())
        }
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // The error does not repeat the text.
    let parse = |line: &str| {
        let secret = line.parse().map_err(|error| Error::Usage(format!("{name}: {error}")))?;
        Ok(NamedSecret { name: name.clone(), secret })
    };
    let secrets: Result<Vec<_>, Error> = lines.map(parse).collect();
    match (secrets?, file) {
        (secrets, Some(file)) if secrets.is_empty() => {
            Err(Error::Usage(format!("{file}: the file is empty")))
        }
        (secrets, _) => Ok(secrets),
    }
}

/// Reads a file, or the standard input for `-`.
fn read_bounded(name: &str, max: u64) -> Result<Vec<u8>, Error> {
    let unreadable = |error: std::io::Error| Error::Usage(format!("{name}: {error}"));
    let mut bytes = Vec::new();
    let read = if name == "-" {
        stdin().take(max + 1).read_to_end(&mut bytes)
    } else {
        File::open(name).and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
    };
    if read.map_err(unreadable)? as u64 > max {
        return Err(Error::Usage(format!("{name}: it has more than {max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_split_at_the_first_colon() {
        let wanted = Ok(("webhook-id".to_owned(), "a:b".to_owned()));
        assert_eq!(parse_header("webhook-id: a:b"), wanted);
        assert!(parse_header("webhook-id").is_err());
    }

    #[test]
    fn secrets_are_on_a_line_each_and_errors_do_not_repeat_them() {
        let path = std::env::temp_dir().join(format!("postrider-secrets-{}", uuid::Uuid::new_v4()));
        let read = |content: &str| {
            std::fs::write(&path, content).expect("a file");
            read_given_secrets(path.to_str()).map(|secrets| secrets.len()).map_err(|error| error.to_string())
        };
        let two = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\nwhsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\r\n";
        assert_eq!(read(two), Ok(2));
        for bad in ["", " \n", "hush", "whsec_hush!"] {
            let error = read(bad).expect_err(bad);
            assert!(!error.contains("hush"), "{error}");
        }
        std::fs::remove_file(path).expect("removed");
    }
}
