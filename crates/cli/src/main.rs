//! `postrider`: what the HTTP API offers, on the command line. It is a client like any other.

mod args;
mod client;
mod commands;
mod error;
mod event_poller;
mod json_arg;
mod output;
mod session;

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
        // Whoever read the output has seen enough.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => report_error(&error),
    }
}

async fn run(args: Args) -> Result<(), Error> {
    match args.command {
        Command::Api(command) => commands::run(&Session::new(args.common)?, command).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "postrider", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn report_error(error: &Error) -> ExitCode {
    eprintln!("postrider: {error}");
    ExitCode::FAILURE
}
