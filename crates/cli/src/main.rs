//! `postrider`: the command-line client of the HTTP API.
//!
//! The tool uses the public API only, as any other client does. One command is one process: `args`
//! parses the command line, `session` holds the API client, the brand and the output format, and
//! `commands` has one file for each noun. Requests go through `client`, which returns the API's JSON as
//! text, and `raw_json` reads it, so that no value changes; `output` prints it as columns for people or
//! unchanged for programs, and `terminal` escapes characters that a terminal acts on. The API has no
//! stream, so `tail` and `listen` poll Get Events through `event_poller`. `profiles` keeps tokens in a file
//! of the user, `verify` explains a signature without the API, and `health_check` asks an operations
//! listener instead of the API.
//!
//! Errors go to standard error as one line. The exit status is 0 after success, 1 after a failure, and
//! 2 for a command line that cannot be parsed.

mod args;
mod client;
mod commands;
mod error;
mod event_poller;
mod health_check;
mod json_arg;
mod output;
mod profiles;
mod prompt;
mod raw_json;
mod session;
mod terminal;
mod time_arg;
mod verify;
mod webhook_ref;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use args::{Args, Command};
use error::Error;
use session::Session;

fn main() -> ExitCode {
    let matches = Args::command().get_matches();
    let is_token_argument = matches.value_source("token") == Some(ValueSource::CommandLine);
    let mut args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    args.common.choose_token(&matches).unwrap_or_else(|error| error.exit());
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report_error(&Error::Output(error)),
    };
    match runtime.block_on(run(args, is_token_argument)) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output, such as `head`, closed the pipe.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => report_error(&error),
    }
}

/// Runs the command. `is_token_argument` says whether the token is on the command line.
async fn run(args: Args, is_token_argument: bool) -> Result<(), Error> {
    let common = args.common;
    match args.command {
        Command::Api(command) => commands::run(&Session::new(&common)?, *command).await,
        Command::Login(command) => commands::profiles::log_in(&common, command, is_token_argument).await,
        Command::Profiles(command) => commands::profiles::run(&common, command),
        Command::Verify(command) => verify::run(&common, *command).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "postrider", &mut std::io::stdout());
            Ok(())
        }
        Command::HealthCheck { path, ops_listen } => health_check::check_health(ops_listen, &path).await,
    }
}

fn report_error(error: &Error) -> ExitCode {
    output::print_notice(&error.to_string());
    ExitCode::FAILURE
}
