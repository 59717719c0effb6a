//! The deliverer's binary: wires settings and telemetry to [`deliverer::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let config: deliverer::Config = runtime::settings::parse_settings();
    let metrics = runtime::telemetry::start_telemetry(&config.log);
    runtime::lifecycle::run_service(config.http.request_timeout, |stop| deliverer::run(config, metrics, stop))
}
