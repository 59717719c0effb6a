//! PostgreSQL behind PgBouncer: a mode works, or a process refuses it with the reason.

use e2e::WAIT_TIMEOUT;
use e2e::database;
use e2e::event::{Event, ids};
use e2e::platform::{Builder, Platform};
use e2e::poll::eventually;
use e2e::private_pgbouncer::PrivatePgBouncer;
use e2e::private_postgres::PrivatePostgres;
use e2e::process::http_get;
use e2e::rabbit_server::Server;

use crate::Stage;

/// The next setting of operators when PgBouncer refuses the settings of the session.
const IGNORE_OPTIONS: &str = "ignore_startup_parameters = options";
/// The settings that the session cannot have then, for the role.
const ROLE_SETTINGS: &str = "ALTER ROLE postgres SET statement_timeout = '9s'; ALTER ROLE postgres SET lock_timeout = '5s'; \
    ALTER ROLE postgres SET jit = off; ALTER ROLE postgres SET \"TimeZone\" = 'UTC'";
/// A part of the log line about settings that are not in force.
const IGNORED: &str = "did not take the settings";

/// Prepares two of each service behind a pooler with these settings.
async fn prepare(
    server: &Server,
    pool_mode: &str,
    more: &str,
) -> (PrivatePostgres, PrivatePgBouncer, Builder) {
    let postgres = PrivatePostgres::start().await;
    let configuration = format!("pool_mode = {pool_mode}\n{more}");
    let bouncer = PrivatePgBouncer::start(server, postgres.port(), &configuration).await;
    let builder = Platform::builder().postgres(&bouncer.url("postgres")).routers(2).deliverers(2);
    (postgres, bouncer, builder)
}

/// Starts all services at once and delivers events, as without a pooler. Returns their logs.
async fn deliver(postgres: &PrivatePostgres, builder: Builder) -> String {
    let mut stage = Stage::with_builder(builder).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events = Event::sms_batch("acme", 100);
    stage.platform.producer().await.publish_all(&events).await;
    endpoint.wait_for_requests(events.len()).await;
    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), WAIT_TIMEOUT).await;
    let admin = database::connect(&postgres.admin_url()).await.expect("the private PostgreSQL");
    eventually("no advisory lock stays", WAIT_TIMEOUT, async || {
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
        match admin.query_one(held, &[]).await.map_err(|error| error.to_string())?.get::<_, i64>(0) {
            0 => Ok(()),
            held => Err(format!("{held} locks")),
        }
    })
    .await;
    stage.platform.processes_mut().map(|process| process.read_log()).collect()
}

/// Returns the text of `/readyz` once it contains `reason`.
async fn wait_refused(builder: Builder, reason: &str) {
    let mut platform = builder.prepare().await;
    let router = &mut platform.routers[0];
    router.start();
    eventually(&format!("/readyz says {reason}"), WAIT_TIMEOUT, async || {
        match http_get(router.ops_address(), "/readyz").await {
            Ok((503, text)) if text.contains(reason) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn settings_that_pgbouncer_refuses_are_explained() {
    let (_postgres, _bouncer, builder) = prepare(&Server::Installed, "transaction", "").await;
    wait_refused(builder, "ignore_startup_parameters").await;
}

/// PgBouncer before 1.21 always loses them.
#[tokio::test]
async fn transaction_mode_without_prepared_statements_is_refused() {
    let knows = PrivatePgBouncer::knows_prepared_statements(&Server::Installed);
    let more = format!("{IGNORE_OPTIONS}\n{}", if knows { "max_prepared_statements = 0" } else { "" });
    let (_postgres, _bouncer, builder) = prepare(&Server::Installed, "transaction", &more).await;
    wait_refused(builder, "max_prepared_statements").await;
}

#[tokio::test]
async fn session_mode_works_and_missing_settings_are_logged() {
    let (postgres, _bouncer, builder) = prepare(&Server::Installed, "session", IGNORE_OPTIONS).await;
    let log = deliver(&postgres, builder).await;
    assert!(log.contains(IGNORED) && log.contains("ALTER ROLE"), "{log}");
}

#[tokio::test]
#[ignore = "needs PgBouncer 1.21 or later in a Debian 13 root: E2E_RABBITMQ_4_ROOT"]
async fn transaction_mode_works_with_prepared_statements() {
    let more = format!("{IGNORE_OPTIONS}\nmax_prepared_statements = 200");
    let (postgres, _bouncer, builder) = prepare(&Server::rabbitmq_4(), "transaction", &more).await;
    let admin = database::connect(&postgres.admin_url()).await.expect("the private PostgreSQL");
    admin.batch_execute(ROLE_SETTINGS).await.expect("the settings of the role");
    let log = deliver(&postgres, builder).await;
    assert!(!log.contains(IGNORED), "{log}");
}
