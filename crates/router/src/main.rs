//! The router's process: wires settings and telemetry to [`router::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let config: router::Config = runtime::settings::parse_settings();
    let metrics = runtime::telemetry::start_telemetry(&config.log);
    runtime::lifecycle::run_service(router::MAX_BATCH_DURATION, |stop| router::run(config, metrics, stop))
}
