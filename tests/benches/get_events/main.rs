//! Measures Get Events through the real API, with a thousand deliveries of a webhook and with millions of
//! them. `tests/README.md` says how to run it and shows the results.

mod measure;
mod pages;
mod table;

use e2e::database::connect;
use e2e::filled::Filled;
use e2e::platform::Platform;

use measure::Measurement;

/// The size of the small database, to compare the large one with.
const FEW: i64 = 1_000;
/// The size of the large database, unless `BENCH_EVENTS` says otherwise.
const MANY: i64 = 5_000_000;

#[tokio::main]
async fn main() {
    let many = std::env::var("BENCH_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(MANY);
    let few_measured = measured(FEW).await;
    let many_measured = measured(many).await;
    table::print(&few_measured, &many_measured, FEW, many);
}

/// Measures one webhook with this number of deliveries, in a database that is dropped afterwards.
async fn measured(events: i64) -> Vec<Measurement> {
    let builder = Platform::builder().routers(0).deliverers(0);
    let mut platform = builder.set("POSTRIDER_TOKEN_RATE", "1000000").start().await;
    let brand = platform.create_brand("acme").await;
    let webhook = brand.create_webhook("https://localhost:9/hook", &["NOTIFICATION"]).await;
    let client = connect(&platform.database_url()).await.expect("the database");
    let filled = Filled::fill(&client, &brand.id, &webhook.id, events).await;
    if std::env::var_os("BENCH_EXPLAIN").is_some() {
        explain(&mut platform, &client).await;
    }
    let reader = measure::Reader::new(platform.api_address(), brand.api.token());
    let mut measurements = Vec::new();
    for page in pages::all(&reader, &brand.webhooks_path(&format!("/{}", webhook.id)), &filled).await {
        measurements.push(reader.measure(page).await);
    }
    measurements
}

/// Makes the server log the plan of every statement of the API. The API reconnects, so that the setting
/// applies.
async fn explain(platform: &mut Platform, client: &tokio_postgres::Client) {
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_buffers = on",
    ] {
        let alter = format!(
            "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || $s$ SET {setting} $s$; END $$"
        );
        client.batch_execute(&alter).await.expect("a setting of the database");
    }
    platform.apis[0].crash_and_restart().await;
}
