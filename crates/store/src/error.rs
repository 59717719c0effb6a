//! What can go wrong with the database, by what the caller can do about it.

use std::io;

use deadpool_postgres::PoolError;
use runtime::error::Chain;
use tokio_postgres::error::SqlState;

/// Bytes of [`StoreError::refusal`]: it travels in a header of a message.
pub const MAX_REFUSAL_BYTES: usize = 1024;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL does not answer, or ended the connection: try again later.
    #[error("PostgreSQL does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The statement was refused: trying again is no use.
    #[error("PostgreSQL refused a statement")]
    Refused(#[source] tokio_postgres::Error),
    /// What is stored cannot be read, such as a secret under another master key.
    #[error("stored data cannot be read: {0}")]
    Unreadable(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether the same call is refused again.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Whether a statement took too long or needed too much of the server: half of its batch may succeed.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        let Self::Unavailable(cause) = self else { return false };
        let code = cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
        cause.is::<tokio::time::error::Elapsed>()
            || code.is_some_and(|code| {
                [SqlState::QUERY_CANCELED, SqlState::OUT_OF_MEMORY, SqlState::DISK_FULL].contains(code)
            })
    }

    /// Whether a row was refused because the partition that it belongs to does not exist.
    #[must_use]
    pub fn misses_partition(&self) -> bool {
        match self {
            // PostgreSQL reports it as a broken check without the name of a constraint.
            Self::Refused(error) => error.as_db_error().is_some_and(|error| {
                *error.code() == SqlState::CHECK_VIOLATION && error.constraint().is_none()
            }),
            _ => false,
        }
    }

    /// PostgreSQL's own words about a statement that it refused, of at most [`MAX_REFUSAL_BYTES`].
    #[must_use]
    pub fn refusal(&self) -> String {
        let mut text = match self {
            Self::Refused(error) => match error.as_db_error() {
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
            Self::Refused(error) => error.as_db_error()?.constraint(),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        if is_passing(&error) { Self::Unavailable(Box::new(error)) } else { Self::Refused(error) }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        // No statement was sent yet: whatever PostgreSQL or the pool says is of the connection.
        match error {
            PoolError::Backend(error) => Self::Unavailable(Box::new(error)),
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

/// Whether an error is of the server's state and not of the statement's text.
fn is_passing(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // No SQLSTATE: the connection broke, unless the parameters could not be written as the protocol has them.
        return std::error::Error::source(error).is_none_or(|cause| {
            cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() != io::ErrorKind::InvalidInput)
        });
    };
    let class = &code.code()[..2];
    // 08 connection, 53 out of resources, 57 operator intervention, 58 system error; and what
    // another transaction caused, or a schema or partition that is not there yet.
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
