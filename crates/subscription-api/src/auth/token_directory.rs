//! Looks up the tokens that the database has, so that wrong tokens cost the valid ones nothing.
//!
//! A token has 256 random bits and needs no protection from guessing. The look-ups need protection from a flood of wrong
//! tokens. So the look-ups have connections of their own, and a token that was not valid lately shares only some of
//! them, in a line of its own. Of this line a client site has only a few places, so that no site fills it, and the other
//! requests of the site wait for these. So a flood of wrong tokens makes a new valid token wait for a few look-ups, and a
//! token that was valid lately not even that.
//!
//! Each request looks up its token, because a deleted token is refused at once. Only refusals are cached, for a moment.

use std::net::IpAddr;
use std::time::Duration;

use runtime::error::Chain;
use runtime::http_server::{ClientAddress, client_site};
use store::api::support_tokens::{self, NamedSupportToken};
use store::api::tokens::{self, Digest, Token};
use store::{Store, clock};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::debug;
use uuid::Uuid;

use crate::auth::expiring_map::ExpiringMap;
use crate::auth::token::TokenKind;
use crate::auth::token_uses::TokenUses;
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::keyed_permits::{KeyedPermit, KeyedPermits};
use crate::telemetry::{self, Refused};

/// Connections for the look-ups of tokens. A look-up takes less than a millisecond.
pub(crate) const CONNECTIONS: u16 = 4;
/// Most look-ups at once of tokens that were not valid lately, so that the others always find a connection.
const MAX_NEW_LOOKUPS: usize = 2;
/// Most requests that wait for such a look-up.
const MAX_WAITING: usize = 1024;
/// Most of these from one client site, also if its requests come through a trusted proxy. 128 sites fill the line, and
/// far fewer can have all connections of the API.
const MAX_WAITING_PER_SITE: usize = 8;
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

/// A token that the database has and that has not expired.
#[derive(Debug)]
pub(crate) enum ValidToken {
    /// A brand's.
    Brand(Token),
    /// A named one of support.
    Support(NamedSupportToken),
}

impl ValidToken {
    fn id(&self) -> Uuid {
        match self {
            Self::Brand(token) => token.id,
            Self::Support(token) => token.id,
        }
    }
}

/// The tokens of all brands and of support.
#[derive(Debug)]
pub struct TokenDirectory {
    store: Store,
    /// The ids of tokens that were valid lately.
    known: ExpiringMap<Digest, Uuid>,
    refused: ExpiringMap<Digest, ()>,
    new_lookups: Semaphore,
    places: Semaphore,
    by_site: KeyedPermits<Option<IpAddr>>,
    uses: TokenUses,
    support_uses: TokenUses,
}

/// The permits of a look-up of a new token.
#[derive(Debug)]
struct LookupTurn<'a> {
    _site: KeyedPermit<Option<IpAddr>>,
    _place: SemaphorePermit<'a>,
    _lookup: SemaphorePermit<'a>,
}

impl TokenDirectory {
    /// Creates a directory that looks tokens up in `store`, which has [`CONNECTIONS`] connections for it alone.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            known: ExpiringMap::new(MAX_KNOWN, KNOWN_TTL),
            refused: ExpiringMap::new(MAX_REFUSED, REFUSED_TTL),
            new_lookups: Semaphore::new(MAX_NEW_LOOKUPS),
            places: Semaphore::new(MAX_WAITING),
            by_site: KeyedPermits::new(MAX_WAITING_PER_SITE),
            uses: TokenUses::default(),
            support_uses: TokenUses::default(),
        }
    }

    /// Returns the id of a token that was valid lately.
    pub(crate) fn find_known(&self, digest: &Digest) -> Option<Uuid> {
        self.known.get(digest)
    }

    /// Finds a valid token, which this client sent.
    ///
    /// # Errors
    /// 503 when the database fails, or when too many new tokens are being looked up.
    pub(crate) async fn find(
        &self,
        kind: TokenKind,
        digest: &Digest,
        client: Option<ClientAddress>,
    ) -> Result<Option<ValidToken>> {
        let found = if self.find_known(digest).is_some() {
            self.look_up(kind, digest).await?
        } else if self.refused.get(digest).is_some() {
            return Ok(None);
        } else {
            self.find_new(kind, digest, client).await?
        };
        if let Some(token) = &found {
            self.known.insert(*digest, token.id());
            self.uses_of(kind).note(token.id(), clock::now());
        } else {
            self.known.remove(digest);
            self.refused.insert(*digest, ());
        }
        Ok(found)
    }

    async fn look_up(&self, kind: TokenKind, digest: &Digest) -> Result<Option<ValidToken>> {
        Ok(match kind {
            TokenKind::Brand => tokens::find_token(&self.store, digest).await?.map(ValidToken::Brand),
            TokenKind::Support => {
                support_tokens::find_token(&self.store, digest).await?.map(ValidToken::Support)
            }
        })
    }

    const fn uses_of(&self, kind: TokenKind) -> &TokenUses {
        match kind {
            TokenKind::Brand => &self.uses,
            TokenKind::Support => &self.support_uses,
        }
    }

    async fn find_new(
        &self,
        kind: TokenKind,
        digest: &Digest,
        client: Option<ClientAddress>,
    ) -> Result<Option<ValidToken>> {
        let site = client.map(|ClientAddress(address)| client_site(address));
        let turn = tokio::time::timeout(WAIT_TIMEOUT, self.wait_for_turn(&site)).await.ok().flatten();
        let _turn = turn.ok_or_else(|| {
            telemetry::record_refused(Refused::TokenLookups);
            Problem::service_unavailable("too many new tokens are being looked up; try again soon")
                .of_kind(ProblemKind::Overloaded)
        })?;
        // Another request with the same wrong token may have been looked up meanwhile.
        if self.refused.get(digest).is_some() {
            return Ok(None);
        }
        self.look_up(kind, digest).await
    }

    /// Waits for a place of the site, and then in the line. `None` when the line is full.
    async fn wait_for_turn(&self, site: &Option<IpAddr>) -> Option<LookupTurn<'_>> {
        let site = self.by_site.acquire(site).await?;
        let place = self.places.try_acquire().ok()?;
        let lookup = self.new_lookups.acquire().await.ok()?;
        Some(LookupTurn { _site: site, _place: place, _lookup: lookup })
    }

    /// Writes when tokens were used. The caller repeats this at an interval.
    pub(crate) async fn write_uses(&self) {
        for kind in [TokenKind::Brand, TokenKind::Support] {
            let due = self.uses_of(kind).take_due(Instant::now());
            if due.is_empty() {
                continue;
            }
            let written = match kind {
                TokenKind::Brand => tokens::record_uses(&self.store, &due).await,
                TokenKind::Support => support_tokens::record_uses(&self.store, &due).await,
            };
            // The next use is recorded again, so that nothing is lost that matters.
            if let Err(error) = written {
                debug!(error = %Chain(&error), "could not record when tokens were used");
            }
        }
    }

    /// Forgets what no longer counts. The caller repeats this at an interval.
    pub(crate) fn remove_expired(&self) {
        self.known.remove_expired();
        self.refused.remove_expired();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use futures_util::future::join_all;
    use store::StoreSettings;

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        store: StoreSettings,
    }

    fn directory() -> TokenDirectory {
        let settings = Settings::try_parse_from(["test", "--database-url", "postgres://x@127.0.0.1:1/x"]);
        TokenDirectory::new(Store::with_connections(&settings.expect("settings").store, "test", CONNECTIONS))
    }

    fn client(address: &str) -> Option<ClientAddress> {
        Some(ClientAddress(address.parse().expect("an address")))
    }

    /// All look-ups are busy, and a /48 of IPv6 sends wrong tokens from many of its networks.
    #[tokio::test(start_paused = true)]
    async fn a_client_site_has_few_places_in_the_line() {
        let directory = directory();
        let _busy = directory.new_lookups.acquire_many(2).await.expect("free");
        let clients: Vec<_> = (0..20).map(|n| client(&format!("2001:db8:0:{n:x}::1"))).collect();
        let mut flood =
            join_all(clients.iter().map(|client| directory.find_new(TokenKind::Brand, &[1; 32], *client)));
        let other = client("2001:db8:1::1");
        let mut other = Box::pin(directory.find_new(TokenKind::Brand, &[2; 32], other));
        tokio::select! {
            biased;
            _ = &mut flood => panic!("the look-ups are busy"),
            _ = &mut other => panic!("the look-ups are busy"),
            () = std::future::ready(()) => {}
        }
        let taken = MAX_WAITING - directory.places.available_permits();
        assert_eq!(taken, MAX_WAITING_PER_SITE + 1, "the other client waits in the line");
    }
}
