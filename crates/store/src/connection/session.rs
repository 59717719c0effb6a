//! Checks of a new session: the server allows writes, and it took the settings.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::error::StoreError;
use crate::pool::{ANSWER_TIMEOUT, SessionOptions};

/// An option of every session. A pooler that drops the settings of connections drops this mark as well.
pub(crate) const OWN_SESSION_MARK: &str = "-c postrider.session=own";

/// The requirement on a new connection (`target_session_attrs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteCheck {
    /// Nothing.
    Any,
    /// The session allows writes.
    ReadWrite,
    /// The server is no standby.
    Primary,
}

/// The state of a server, as a session sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) is_standby: bool,
    pub(crate) is_read_only: bool,
}

impl WriteCheck {
    /// Returns why a server does not pass the check.
    pub(crate) fn refusal(self, access: Access) -> Option<&'static str> {
        match self {
            Self::ReadWrite | Self::Primary if access.is_standby => Some("it is a standby"),
            Self::ReadWrite if access.is_read_only => Some("its sessions are read-only"),
            Self::Any | Self::ReadWrite | Self::Primary => None,
        }
    }
}

/// The history of a server's data: the cluster, and how often a standby of it was promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// The identifier that `initdb` gave to the cluster. A restored dump has another one.
    pub(crate) system: i64,
    /// The timeline, which each promotion increments.
    pub(crate) timeline: i64,
}

/// Reads the lineage of a server that allows writes; `None` if it does not tell, as services like Aurora.
pub(crate) async fn read_lineage(client: &Client) -> Option<Lineage> {
    let sql = "SELECT system_identifier, ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint \
               FROM pg_control_system()";
    let row = query_row(client, sql).await.ok()?;
    Some(Lineage { system: row[0].parse().ok()?, timeline: row[1].parse().ok()? })
}

/// Reads the state of the server.
pub(crate) async fn read_access(client: &Client) -> Result<Access, tokio_postgres::Error> {
    let sql = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')";
    let row = query_row(client, sql).await?;
    Ok(Access { is_standby: row[0] == "t", is_read_only: row[1] == "on" })
}

/// Returns whether the session serves this connection alone. Only then may a setting outlive its transaction, because the
/// session of a pooler serves other connections too.
///
/// # Errors
/// When PostgreSQL does not answer in time.
pub(crate) async fn is_own(client: &Client) -> Result<bool, StoreError> {
    let asking = query_row(client, "SELECT current_setting('postrider.session', true)");
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, asking).await;
    let mark = answer.map_err(|elapsed| StoreError::Unavailable(Box::new(elapsed)))??;
    Ok(mark[0] == "own")
}

/// Returns the settings that the server did not take, each with what it uses instead. PgBouncer drops `options` when
/// `ignore_startup_parameters` contains it.
///
/// Only settings that a role can have are compared, because pools have different settings for the planner.
pub(crate) async fn find_ignored(
    client: &Client,
    asked: &SessionOptions,
) -> Result<Vec<String>, tokio_postgres::Error> {
    // pg_settings has the values in their basic units.
    let sql = "SELECT max(setting) FILTER (WHERE name = 'statement_timeout'), \
                      max(setting) FILTER (WHERE name = 'lock_timeout'), \
                      max(setting) FILTER (WHERE name = 'jit'), \
                      max(setting) FILTER (WHERE name = 'TimeZone') FROM pg_settings";
    let row = query_row(client, sql).await?;
    Ok(compare_settings(asked, [&row[0], &row[1], &row[2], &row[3]]))
}

/// Compares the settings of a session, in the order of [`find_ignored`].
fn compare_settings(asked: &SessionOptions, used: [&str; 4]) -> Vec<String> {
    let is_bounded = |millis: &str| {
        millis.parse().is_ok_and(|millis| millis > 0 && Duration::from_millis(millis) <= ANSWER_TIMEOUT)
    };
    let [statement, lock, jit, zone] = used;
    let compared = [
        ("statement_timeout", is_bounded(statement), statement),
        ("lock_timeout", is_bounded(lock), lock),
        ("jit", jit == "off", jit),
        ("TimeZone", zone == "UTC", zone),
    ];
    let ignored = compared.into_iter().filter(|(name, is_kept, _)| !is_kept && !asked.is_overridden(name));
    ignored.map(|(name, _, used)| format!("{name} is {used}")).collect()
}

/// Runs a query of one row without preparing it, because a pooler may give the statement to another server.
async fn query_row(client: &Client, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut columns = vec![String::new(); 4];
    for message in client.simple_query(sql).await? {
        if let SimpleQueryMessage::Row(row) = message {
            for (at, column) in columns.iter_mut().enumerate().take(row.len()) {
                row.get(at).unwrap_or_default().clone_into(column);
            }
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_refuses_servers_that_do_not_write() {
        let access = |is_standby, is_read_only| Access { is_standby, is_read_only };
        for (check, refused) in [
            (WriteCheck::Any, [false, false, false]),
            (WriteCheck::ReadWrite, [false, true, true]),
            (WriteCheck::Primary, [false, false, true]),
        ] {
            let found = [access(false, false), access(false, true), access(true, true)]
                .map(|access| check.refusal(access).is_some());
            assert_eq!(found, refused, "{check:?}");
        }
    }

    #[test]
    fn settings_of_a_role_are_as_good_as_those_of_the_connection() {
        let asked = SessionOptions::for_tests(None);
        assert_eq!(compare_settings(&asked, ["9000", "5000", "off", "UTC"]), Vec::<String>::new());
        assert_eq!(compare_settings(&asked, ["5000", "1000", "off", "UTC"]), Vec::<String>::new());
        assert_eq!(
            compare_settings(&asked, ["0", "60000", "on", "Europe/Berlin"]),
            ["statement_timeout is 0", "lock_timeout is 60000", "jit is on", "TimeZone is Europe/Berlin"]
        );
    }

    #[test]
    fn settings_of_the_url_are_not_compared() {
        let asked = SessionOptions::for_tests(Some("-c lock_timeout=0 --statement_timeout=0"));
        assert_eq!(compare_settings(&asked, ["0", "0", "on", "UTC"]), ["jit is on"]);
    }
}
