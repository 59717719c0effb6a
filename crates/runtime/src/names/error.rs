//! Why a lookup has no addresses, and whose failure it is.

use std::sync::Arc;
use std::time::Duration;

/// The reason why a name has no addresses. Cheap to clone, because callers that ask at once share it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The text is no DNS name.
    #[error("it is no DNS name")]
    Invalid,
    /// The DNS says that there is no such name.
    #[error("there is no such name")]
    NoSuchName,
    /// The name exists and has no address.
    #[error("it has no address")]
    NoAddress,
    /// The name has more addresses than are checked for one connection.
    #[error("it has more than {0} addresses")]
    TooManyAddresses(usize),
    /// A name server answered with a failure, such as `SERVFAIL`, or with an answer that cannot be read.
    #[error("the name server answered: {0}")]
    Failed(Arc<str>),
    /// The name servers answered other queries meanwhile and not this one.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The lookup did not begin, because too many others are in progress.
    #[error("the lookup did not begin: {0} others were in progress")]
    NotBegun(usize),
    /// No name server answers anything.
    #[error("no name server answers this process")]
    NoServer,
    /// The query could not be sent, for example without a file handle or a network, or the name server refuses this
    /// process.
    #[error("the name server could not be asked: {0}")]
    NotAsked(Arc<str>),
}

impl LookupError {
    /// Returns whether the failure lies with this process or its network, and says nothing about the name.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::NotBegun(_) | Self::NoServer | Self::NotAsked(_))
    }

    /// Returns the value of the metric's label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Invalid | Self::NoSuchName => "no_such_name",
            Self::NoAddress => "no_address",
            Self::TooManyAddresses(_) | Self::Failed(_) => "failed",
            Self::Silent(_) => "silent",
            Self::NotBegun(_) => "not_begun",
            Self::NoServer | Self::NotAsked(_) => "not_asked",
        }
    }

    /// Returns how much this failure of one address family tells about the name. The failure that tells most is
    /// reported when both families fail.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::NoAddress => 0,
            Self::NotBegun(_) | Self::NoServer | Self::NotAsked(_) => 1,
            Self::Silent(_) => 2,
            Self::Failed(_) | Self::TooManyAddresses(_) => 3,
            Self::Invalid | Self::NoSuchName => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_that_say_nothing_about_the_name_are_local() {
        let text: Arc<str> = "x".into();
        let local = [LookupError::NotBegun(1), LookupError::NoServer, LookupError::NotAsked(text.clone())];
        assert!(local.iter().all(LookupError::is_local));
        let of_the_name = [
            LookupError::Invalid,
            LookupError::NoSuchName,
            LookupError::NoAddress,
            LookupError::TooManyAddresses(1),
            LookupError::Failed(text),
            LookupError::Silent(Duration::ZERO),
        ];
        assert!(!of_the_name.iter().any(LookupError::is_local));
    }
}
