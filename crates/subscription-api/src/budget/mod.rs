//! Budgets of brands: what the requests of one brand may use at once.
//!
//! All brands share the connections to PostgreSQL and the memory of the process. A [`Share`] bounds the part of one
//! brand, or of support: requests in flight, bytes of request bodies, requests that publish, and bytes of responses that
//! are not read yet. A request that exceeds its share waits in the brand's own line, without a connection to PostgreSQL,
//! and is refused with 429 when the line is full or the wait is over. Requests of other brands do not notice.
//!
//! The middleware creates a [`RequestBudget`] for each request. The extractors of the caller and of the body take
//! permits through it, and the middleware drops them together at the end of the request. A response holds the share until
//! its client has read it ([`ResponsePermit`]), because a share that nobody holds is forgotten and begins anew.

mod request;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use domain::ids::BrandId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use crate::budget::request::RequestBudget;
use crate::http::body::MAX_BODY_BYTES;
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::telemetry::{self, Refused};

/// Most requests of one brand that wait. A burst that the rate of a few tokens allows fits in.
const MAX_WAITING: usize = 1000;
/// Longest wait in a line. It is longer than a burst of plain requests takes, and shorter than a client's patience.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of request bodies of one brand in memory: a few of the largest, while others wait to be read.
const MAX_BRAND_BODY_BYTES: usize = 8 * MAX_BODY_BYTES;
/// Most bytes of request bodies in memory. A handler copies a body up to three times, and the memory limit of the
/// deployments is 512 MiB.
const MAX_BODY_BYTES_IN_ALL: usize = 32 * MAX_BODY_BYTES;
/// Most bytes of responses to one brand in memory, because a client may read slowly. A page of Get Events has 8 MiB at
/// most, and so a few clients of a brand can read the largest pages at once.
const MAX_BRAND_RESPONSE_BYTES: usize = 32 * 1024 * 1024;
/// Largest response that does not count. The connections bound these well enough, and no response to a write is larger:
/// a write that was carried out must not be answered as if it was refused.
const MAX_SMALL_RESPONSE_BYTES: usize = 64 * 1024;
/// Most requests of one brand that publish at the same time, so that eight brands have to work together to use all
/// channels of the publisher. RabbitMQ confirms a message within milliseconds.
const MAX_PUBLISHING: usize = 2;
/// The part of the connections to PostgreSQL that one brand may use: a quarter, so that a brand beside three busy ones
/// still finds a connection.
const CONNECTIONS_DIVISOR: u16 = 4;
/// Seconds after which a refused request may be sent again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The owner of a share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// Support, whose searches over all brands are expensive, too.
    Support,
    /// A brand.
    Brand(BrandId),
}

/// The shares of all brands.
#[derive(Debug)]
pub struct Budgets {
    max_in_flight: usize,
    bodies: Arc<Semaphore>,
    /// Shares that a request uses, and some that no request uses any more.
    shares: Mutex<HashMap<Owner, Weak<Share>>>,
}

/// The share of one brand.
#[derive(Debug)]
pub(crate) struct Share {
    in_flight: Line,
    bodies: Line,
    bodies_in_all: Arc<Semaphore>,
    publishing: Line,
    responses: Line,
}

/// The memory of a response, until it is dropped. It holds the share as well.
#[derive(Debug)]
pub(crate) struct ResponsePermit {
    _share: Arc<Share>,
    _permit: OwnedSemaphorePermit,
}

impl Budgets {
    /// Creates the budgets for a pool with this number of connections, of which a brand may use a quarter.
    #[must_use]
    pub fn new(connections: u16) -> Self {
        Self {
            max_in_flight: usize::from(connections / CONNECTIONS_DIVISOR).max(1),
            bodies: Arc::new(Semaphore::new(MAX_BODY_BYTES_IN_ALL)),
            shares: Mutex::default(),
        }
    }

    /// Returns the share of an owner, which all its requests and unread responses use together.
    pub(crate) fn share(&self, owner: Owner) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&owner).and_then(Weak::upgrade) {
            return share;
        }
        let share = Arc::new(Share::new(self.max_in_flight, Arc::clone(&self.bodies)));
        shares.insert(owner, Arc::downgrade(&share));
        share
    }

    /// Forgets the shares that no request uses. The caller repeats this at an interval.
    pub(crate) fn remove_unused(&self) {
        self.shares
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, share| share.strong_count() > 0);
    }
}

impl Share {
    fn new(max_in_flight: usize, bodies_in_all: Arc<Semaphore>) -> Self {
        Self {
            in_flight: Line::new(max_in_flight),
            bodies: Line::new(MAX_BRAND_BODY_BYTES),
            bodies_in_all,
            publishing: Line::new(MAX_PUBLISHING),
            responses: Line::new(MAX_BRAND_RESPONSE_BYTES),
        }
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        self.in_flight.acquire(1).await.ok_or_else(|| {
            refuse(Refused::InFlight, "too many requests of this brand are in flight; send fewer at once")
        })
    }

    /// Reserves memory for a body, first of the brand's share, so that a surplus waits without holding what others need.
    async fn reserve_body(&self, bytes: usize) -> Result<[OwnedSemaphorePermit; 2]> {
        let refused = || {
            refuse(Refused::BodyBytes, "too many bodies of this brand are being received; send fewer at once")
        };
        let own = self.bodies.acquire(bytes).await.ok_or_else(refused)?;
        let in_all = acquire_within(&self.bodies_in_all, bytes).await.ok_or_else(|| {
            telemetry::record_refused(Refused::BodyBytes);
            Problem::service_unavailable("too many bodies are being received; try again soon")
                .of_kind(ProblemKind::Overloaded)
        })?;
        Ok([own, in_all])
    }

    async fn begin_publishing(&self) -> Result<OwnedSemaphorePermit> {
        self.publishing.acquire(1).await.ok_or_else(|| {
            refuse(Refused::Publishing, "too many requests of this brand are publishing; send fewer at once")
        })
    }

    async fn reserve_response(self: Arc<Self>, bytes: usize) -> Result<ResponsePermit> {
        // A larger response has the whole share.
        let permit = self.responses.acquire(bytes.min(MAX_BRAND_RESPONSE_BYTES)).await.ok_or_else(|| {
            refuse(
                Refused::ResponseBytes,
                "too many responses to this brand are not read yet; read them, or ask for smaller pages",
            )
        })?;
        Ok(ResponsePermit { _share: self, _permit: permit })
    }
}

fn refuse(reason: Refused, detail: &str) -> Problem {
    telemetry::record_refused(reason);
    Problem::too_many_requests(detail, RETRY_AFTER_SECONDS).of_kind(ProblemKind::BrandBusy)
}

/// Permits with a bounded number of callers that wait for one.
#[derive(Debug)]
struct Line {
    permits: Arc<Semaphore>,
    places: Semaphore,
}

impl Line {
    fn new(permits: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(permits)), places: Semaphore::new(MAX_WAITING) }
    }

    /// Acquires permits in the order of arrival. Returns nothing when the line is full or the wait is over.
    async fn acquire(&self, permits: usize) -> Option<OwnedSemaphorePermit> {
        let _place = self.places.try_acquire().ok()?;
        acquire_within(&self.permits, permits).await
    }
}

async fn acquire_within(permits: &Arc<Semaphore>, number: usize) -> Option<OwnedSemaphorePermit> {
    let number = u32::try_from(number).ok()?;
    let acquiring = Arc::clone(permits).acquire_many_owned(number);
    tokio::time::timeout(WAIT_TIMEOUT, acquiring).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use tokio::time::Instant;

    fn brand(id: &str) -> Owner {
        Owner::Brand(id.parse().expect("a brand"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_brand_over_its_share_waits_briefly_and_others_do_not() {
        let budgets = Budgets::new(8);
        let acme = budgets.share(brand("acme"));
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(acme.enter().await.expect("a quarter of the connections"));
        }
        let began = Instant::now();
        let refused = budgets.share(brand("acme")).enter().await.expect_err("over the share");
        assert_eq!((refused.status(), began.elapsed()), (StatusCode::TOO_MANY_REQUESTS, WAIT_TIMEOUT));
        assert!(budgets.share(brand("globex")).enter().await.is_ok());
        assert!(budgets.share(Owner::Support).enter().await.is_ok());
        let waiting = acme.enter();
        let leave = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            held.pop();
        };
        assert!(tokio::join!(waiting, leave).0.is_ok(), "a free place is handed on");
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_of_a_brand_is_bounded() {
        let share = Budgets::new(2).share(Owner::Support);
        let _held = share.enter().await.expect("one place");
        let began = Instant::now();
        let waiting = (0..=MAX_WAITING).map(|_| share.enter());
        let refused = futures_util::future::select_all(waiting.map(Box::pin)).await.0;
        assert!(refused.is_err() && began.elapsed().is_zero(), "the last one is refused at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_brand_publishes_a_few_requests_at_a_time() {
        let budgets = Budgets::new(8);
        let acme = budgets.share(brand("acme"));
        let first = acme.begin_publishing().await.expect("a turn");
        let _second = acme.begin_publishing().await.expect("a turn");
        let refused = acme.begin_publishing().await.expect_err("both turns are taken");
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(budgets.share(brand("globex")).begin_publishing().await.is_ok());
        drop(first);
        assert!(acme.begin_publishing().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_have_a_share_of_the_brand_and_a_bound_in_all() {
        let budgets = Budgets::new(8);
        let mut held = Vec::new();
        for n in 0..4 {
            let share = budgets.share(brand(&format!("brand{n}")));
            held.push(share.reserve_body(MAX_BRAND_BODY_BYTES).await.expect("its share"));
            assert!(share.reserve_body(1).await.is_err(), "over its share");
        }
        let other = budgets.share(brand("other"));
        let refused = other.reserve_body(1).await.expect_err("over the bound in all");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        held.pop();
        assert!(other.reserve_body(1).await.is_ok());
    }

    /// A brand whose requests come one after another, each with a response that it does not read.
    #[tokio::test(start_paused = true)]
    async fn an_unread_response_counts_after_its_request() {
        let budgets = Budgets::new(8);
        let large = 8 * 1024 * 1024;
        let mut unread = Vec::new();
        for _ in 0..4 {
            let request = RequestBudget::default();
            request.enter(budgets.share(brand("acme"))).await.expect("entered");
            unread.push(request.reserve_response(large).await.expect("its share").expect("a large one"));
        }
        budgets.remove_unused();
        let request = RequestBudget::default();
        request.enter(budgets.share(brand("acme"))).await.expect("entered");
        let refused = request.reserve_response(large).await.expect_err("over the share");
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        unread.pop();
        assert!(request.reserve_response(large).await.is_ok());
    }

    #[test]
    fn a_share_is_forgotten_when_no_request_uses_it() {
        let budgets = Budgets::new(8);
        let share = budgets.share(Owner::Support);
        drop(budgets.share(brand("acme")));
        budgets.remove_unused();
        assert_eq!(budgets.shares.lock().expect("not poisoned").len(), 1);
        assert!(Arc::ptr_eq(&share, &budgets.share(Owner::Support)));
    }
}
