//! The binary: parses the settings, starts telemetry and calls [`subscription_api::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let config: subscription_api::Config = runtime::settings::parse_settings();
    let metrics = runtime::telemetry::start_telemetry(&config.log);
    runtime::lifecycle::run_service(subscription_api::DRAIN_TIMEOUT, |stop| {
        subscription_api::run(config, metrics, stop)
    })
}
