//! `load` measures the speed of Postrider in wall time and in processor time, beside the limits that the same
//! machine shows in the same run. `tests/README.md` says how to run it and shows the results.

mod args;
mod board;
mod cpu;
mod limits;
mod proc;
mod report;
mod scenarios;
mod sink;
mod source;
mod stage;
mod window;

use std::process::ExitCode;

use clap::Parser;

use args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("load").enable_all().build();
    let is_whole = runtime.expect("a runtime").block_on(scenarios::run_all(&args));
    // The speed does not count when something is lost.
    if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
