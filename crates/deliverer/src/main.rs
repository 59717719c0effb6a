//! The deliverer's binary: wires settings and telemetry to [`deliverer::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let config: deliverer::Config = runtime::settings::parse();
    let metrics = runtime::telemetry::start(&config.log);
    runtime::lifecycle::run(config.http.request_timeout, |stop| deliverer::run(config, metrics, stop))
}
