//! `postrider`: the command-line client of the HTTP API.
//!
//! The tool uses the public API only, as any other client does. One command is one process: `args`
//! parses the command line, `session` holds the API client, the brand and the output format, and
//! `commands` has one file for each noun. Requests go through `client`, which returns the API's JSON as
//! text, and `raw_json` reads it, so that no value changes; `output` prints it as columns for people or
//! unchanged for programs, and `terminal` escapes characters that a terminal acts on. The API has no
//! stream, so `tail` and `listen` poll Get Events through `event_poller`. `health_check` asks an
//! operations listener instead of the API.
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
mod raw_json;
mod session;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};
use error::Error;
use session::Session;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report_error(&Error::Output(error)),
    };
    match runtime.block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output, such as `head`, closed the pipe.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => report_error(&error),
    }
}

async fn run(args: Args) -> Result<(), Error> {
    match args.command {
        Command::Api(command) => commands::run(&Session::new(args.common)?, *command).await,
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
