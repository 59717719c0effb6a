//! Addresses of the servers that the tests use.

/// Returns the URL of a database in which `CREATE DATABASE` is allowed.
#[must_use]
pub fn database_url() -> String {
    read_env("E2E_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
}

/// Returns the URL of the RabbitMQ server.
#[must_use]
pub fn amqp_url() -> String {
    read_env("E2E_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
}

fn read_env(name: &str, default: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// Returns a short random word of letters and digits, for the names of one test.
#[must_use]
pub fn unique_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..12].to_owned()
}
