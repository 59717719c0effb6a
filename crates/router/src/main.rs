//! The router's process: wires settings and telemetry to [`router::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let config: router::Config = runtime::settings::parse();
    let metrics = runtime::telemetry::start(&config.log);
    runtime::lifecycle::run(router::MAX_BATCH_DURATION, |stop| router::run(config, metrics, stop))
}
