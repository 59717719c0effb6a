//! Errors of the database, classified by whether a retry can succeed.

use std::fmt;
use std::io;

use deadpool::managed::PoolError;
use runtime::error::Chain;
use tokio_postgres::error::SqlState;

use crate::connection::manager::ConnectError;

/// Bounds [`StoreError::refusal`] in bytes, because the text travels in a header of a message.
pub const MAX_REFUSAL_BYTES: usize = 1024;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL does not answer, or it ended the connection. A retry may succeed.
    #[error("PostgreSQL does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// PostgreSQL refused the statement. A retry cannot succeed.
    #[error("PostgreSQL refused a statement")]
    Refused(#[source] Refusal),
    /// Stored data cannot be read, for example a secret that is encrypted under another master key.
    #[error("stored data cannot be read: {0}")]
    Unreadable(String),
}

/// PostgreSQL's refusal of a statement.
///
/// Its text leaves out PostgreSQL's detail, because that repeats the values of a row, and errors are logged.
pub struct Refusal(tokio_postgres::Error);

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(error) = self.0.as_db_error() else { return Chain(&self.0).fmt(f) };
        write!(f, "{}: {} ({}", error.severity(), error.message(), error.code().code())?;
        for (what, name) in [("table", error.table()), ("constraint", error.constraint())] {
            if let Some(name) = name {
                write!(f, ", {what} {name}")?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({self})")
    }
}

impl std::error::Error for Refusal {}

impl StoreError {
    /// Returns whether the same call may succeed later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Returns whether the statement waited too long for a lock that another transaction holds.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let Self::Unavailable(cause) = self else { return false };
        let error = cause.downcast_ref::<tokio_postgres::Error>();
        error.and_then(tokio_postgres::Error::code) == Some(&SqlState::LOCK_NOT_AVAILABLE)
    }

    /// Returns whether PostgreSQL would refuse the same call again.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Returns whether a statement took too long or too many resources, so that half of its batch may succeed.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        let Self::Unavailable(cause) = self else { return false };
        cause.is::<tokio::time::error::Elapsed>() || self.is_ended_by_server()
    }

    /// Returns whether PostgreSQL ended the statement because it took too long or too many resources. A timeout of the
    /// client is different: a server that is away causes it, too, and then no statement ran.
    #[must_use]
    pub fn is_ended_by_server(&self) -> bool {
        let Self::Unavailable(cause) = self else { return false };
        let code = cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
        code.is_some_and(|code| {
            [SqlState::QUERY_CANCELED, SqlState::OUT_OF_MEMORY, SqlState::DISK_FULL].contains(code)
        })
    }

    /// Returns whether PostgreSQL refused a row because its partition does not exist.
    #[must_use]
    pub fn misses_partition(&self) -> bool {
        match self {
            // PostgreSQL reports a missing partition as a violated check without the name of a constraint.
            Self::Refused(Refusal(error)) => error.as_db_error().is_some_and(|error| {
                *error.code() == SqlState::CHECK_VIOLATION && error.constraint().is_none()
            }),
            _ => false,
        }
    }

    /// Returns PostgreSQL's message about a statement that it refused, cut to [`MAX_REFUSAL_BYTES`].
    #[must_use]
    pub fn refusal(&self) -> String {
        let mut text = match self {
            Self::Refused(Refusal(error)) => match error.as_db_error() {
                Some(error) => error.message().to_owned(),
                None => Chain(error).to_string(),
            },
            other => Chain(other).to_string(),
        };
        text.truncate(text.floor_char_boundary(MAX_REFUSAL_BYTES));
        text
    }

    /// The name of the constraint that a statement broke, if that is what went wrong.
    #[must_use]
    pub fn broken_constraint(&self) -> Option<&str> {
        match self {
            Self::Refused(Refusal(error)) => error.as_db_error()?.constraint(),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        if is_statement_lost(&error) {
            return Self::Unavailable(Box::new(LostStatement(error)));
        }
        if is_passing(&error) { Self::Unavailable(Box::new(error)) } else { Self::Refused(error.into()) }
    }
}

impl From<PoolError<ConnectError>> for StoreError {
    fn from(error: PoolError<ConnectError>) -> Self {
        // No statement was sent yet, so the error concerns the connection.
        match error {
            PoolError::Backend(error) => Self::Unavailable(Box::new(error)),
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

/// A pooler gave a connection to a server that does not have the statements that were prepared on it.
#[derive(Debug, thiserror::Error)]
#[error(
    "a prepared statement is gone, as behind PgBouncer in transaction mode without max_prepared_statements: set it to 200 \
     (PgBouncer 1.21 or later), or use pool_mode = session"
)]
pub(crate) struct LostStatement(#[source] pub(crate) tokio_postgres::Error);

/// Returns whether the server does not have a statement that was prepared, or has another of the same name.
pub(crate) fn is_statement_lost(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT].contains(code)
    })
}

/// Returns whether the cause of an error is the server's state and not the statement's text.
fn is_passing(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // Without an SQLSTATE the connection broke, unless the protocol could not encode the parameters.
        return std::error::Error::source(error).is_none_or(|cause| {
            cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() != io::ErrorKind::InvalidInput)
        });
    };
    let class = &code.code()[..2];
    // Classes: 08 connection, 53 out of resources, 57 operator intervention, 58 system error. The states below have
    // another transaction as their cause, or a schema that another process has not migrated yet.
    matches!(class, "08" | "53" | "57" | "58")
        || [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::INVALID_CATALOG_NAME,
            SqlState::UNDEFINED_TABLE,
        ]
        .contains(code)
}
