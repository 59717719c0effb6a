//! Looks up brand tokens, so that wrong tokens cost the valid ones nothing.
//!
//! A token has 256 random bits and needs no protection from guessing. The look-ups need protection from a flood of wrong
//! tokens. So the look-ups have connections of their own, and a token that was not valid lately shares only some of
//! them, in a line of its own. No address is ever refused: a flood of wrong tokens makes a new valid token wait for a few
//! look-ups, and a token that was valid lately not even that.
//!
//! Each request looks up its token, because a deleted token is refused at once. Only refusals are cached, for a moment.

use std::time::Duration;

use store::Store;
use store::api::tokens::{self, Digest, Token};
use tokio::sync::Semaphore;

use crate::auth::expiring_set::ExpiringSet;
use crate::http::problem::{Problem, Result};
use crate::telemetry::{self, Refused};

/// Connections for the look-ups of tokens. A look-up takes less than a millisecond.
pub(crate) const CONNECTIONS: u16 = 4;
/// Most look-ups at once of tokens that were not valid lately, so that the others always find a connection.
const MAX_NEW_LOOKUPS: usize = 2;
/// Most requests that wait for such a look-up. A client network cannot fill the line, because it has fewer connections.
const MAX_WAITING: usize = 1024;
/// Longest wait for such a look-up. The whole line takes less than a second.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for which a valid token counts as known.
const KNOWN_TTL: Duration = Duration::from_secs(600);
/// Most known tokens. Further valid tokens are looked up with the new ones.
const MAX_KNOWN: usize = 100_000;
/// Time for which a wrong token is refused without a look-up. Nobody has a token before it is created, so that a token
/// is not refused after its creation.
const REFUSED_TTL: Duration = Duration::from_secs(5);
/// Most wrong tokens that are remembered.
const MAX_REFUSED: usize = 10_000;

/// The tokens of all brands.
#[derive(Debug)]
pub struct TokenDirectory {
    store: Store,
    known: ExpiringSet<Digest>,
    refused: ExpiringSet<Digest>,
    new_lookups: Semaphore,
    places: Semaphore,
}

impl TokenDirectory {
    /// Creates a directory that looks tokens up in `store`, which has [`CONNECTIONS`] connections for it alone.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            known: ExpiringSet::new(MAX_KNOWN, KNOWN_TTL),
            refused: ExpiringSet::new(MAX_REFUSED, REFUSED_TTL),
            new_lookups: Semaphore::new(MAX_NEW_LOOKUPS),
            places: Semaphore::new(MAX_WAITING),
        }
    }

    /// Whether the token was valid lately.
    pub(crate) fn is_known(&self, digest: &Digest) -> bool {
        self.known.contains(digest)
    }

    /// Finds a valid token.
    ///
    /// # Errors
    /// 503 when the database fails, or when too many new tokens are being looked up.
    pub(crate) async fn find(&self, digest: &Digest) -> Result<Option<Token>> {
        let found = if self.is_known(digest) {
            tokens::find_token(&self.store, digest).await?
        } else if self.refused.contains(digest) {
            return Ok(None);
        } else {
            self.find_new(digest).await?
        };
        if found.is_some() {
            self.known.insert(*digest);
        } else {
            self.known.remove(digest);
            self.refused.insert(*digest);
        }
        Ok(found)
    }

    async fn find_new(&self, digest: &Digest) -> Result<Option<Token>> {
        let busy = || {
            telemetry::record_refused(Refused::TokenLookups);
            Problem::service_unavailable("too many new tokens are being looked up; try again soon")
        };
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let permit = tokio::time::timeout(WAIT_TIMEOUT, self.new_lookups.acquire()).await;
        let _permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        Ok(tokens::find_token(&self.store, digest).await?)
    }

    /// Forgets what no longer counts. The caller repeats this at an interval.
    pub(crate) fn remove_expired(&self) {
        self.known.remove_expired();
        self.refused.remove_expired();
    }
}
