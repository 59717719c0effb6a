//! The binary: parses the settings, starts telemetry and calls [`subscription_api::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let config: subscription_api::Config = runtime::settings::parse();
    let metrics = runtime::telemetry::start(&config.log);
    runtime::lifecycle::run(subscription_api::DRAIN_TIMEOUT, |stop| {
        subscription_api::run(config, metrics, stop)
    })
}
