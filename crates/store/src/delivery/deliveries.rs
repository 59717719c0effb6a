//! Get Events: the deliveries of one webhook with their events, always by index range.

use deadpool_postgres::Transaction;
use domain::delivery::DeliveryStatus;
use domain::event_type::TypePattern;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::time::Timestamp;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, Row};

use crate::db::Executor;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// Most deliveries that are looked through for one page when a filter skips some of them: what
/// makes a page of a rare type cost milliseconds, however much lies between.
pub const MAX_SCANNED_ROWS: i64 = 10_000;
/// How much `data` one page holds before it ends early, in bytes: bounds a request's memory.
pub const MAX_PAGE_BYTES: i64 = 8 * 1024 * 1024;

/// For the transaction: read indexes in their order whatever the statistics say, for they lag behind
/// a webhook that has just received its first million events.
pub const IN_INDEX_ORDER: &str =
    "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off";

/// Which deliveries of a webhook are listed.
#[derive(Debug, Clone)]
pub struct DeliveryRange {
    /// Those after this place,
    pub after: KeysetPosition,
    /// up to this one, which is among them.
    pub up_to: KeysetPosition,
    /// Only of this type or group.
    pub pattern: Option<TypePattern>,
    /// Only of this status.
    pub status: Option<DeliveryStatus>,
    /// From which end.
    pub order: Order,
}

impl DeliveryRange {
    /// The status, if there is an index for it: all but `delivered`.
    fn status_in_index(&self) -> Option<DeliveryStatus> {
        self.status.filter(|status| *status != DeliveryStatus::Delivered)
    }

    fn row_filter(&self) -> RowFilter<'_> {
        let pattern = self.pattern.as_ref().filter(|pattern| **pattern != TypePattern::All);
        let status = self.status.filter(|status| *status == DeliveryStatus::Delivered);
        RowFilter { pattern: pattern.map(TypePattern::as_str), status }
    }

    /// Whether a look-up by index meets deliveries that are not listed.
    fn filters_rows(&self) -> bool {
        let sieve = self.row_filter();
        sieve.pattern.is_some() || sieve.status.is_some()
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// An event on its way to one webhook.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The event.
    pub event_id: EventId,
    /// Its brand.
    pub brand_id: BrandId,
    /// When it happened.
    pub created: Timestamp,
    /// What happened.
    pub event_type: String,
    /// Its data: JSON as it came in, byte for byte.
    pub data: String,
    /// Whether it is a test.
    pub test: bool,
    /// Where the delivery stands.
    pub status: DeliveryStatus,
    /// Attempts so far.
    pub attempts: i32,
    /// When the last one started.
    pub last_attempt_at: Option<Timestamp>,
    /// When the next one may start.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last one failed.
    pub last_error: Option<String>,
}

impl Delivery {
    /// Its place in the webhook's list.
    #[must_use]
    pub fn position(&self) -> KeysetPosition {
        KeysetPosition { at: self.created, id: self.event_id.to_uuid() }
    }
}

/// A page of deliveries, and where it ended if there may be more.
#[derive(Debug)]
pub struct DeliveryPage {
    /// The deliveries, in the order that was asked for.
    pub items: Vec<Delivery>,
    /// The last place that was looked at, unless that was the end of the range.
    pub more_after: Option<KeysetPosition>,
}

/// A page of a webhook's deliveries: at most `limit`, fewer when a bound was met on the way.
///
/// # Errors
/// When the database fails.
pub async fn list_deliveries(
    store: &Store,
    webhook: WebhookId,
    range: &DeliveryRange,
    limit: i64,
) -> Result<DeliveryPage, StoreError> {
    // One snapshot: where the look-up stopped may be asked for in a second statement.
    let mut client = store.client().await?;
    let options = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let snapshot = options.start().await?;
    snapshot.batch_execute(IN_INDEX_ORDER).await?;
    let (items, mut more_after) = load_page(&snapshot, webhook, range, limit).await?;
    if more_after.is_none() && range.filters_rows() {
        more_after = find_scan_end(&snapshot, webhook, range).await?;
    }
    snapshot.commit().await?;
    Ok(DeliveryPage { items, more_after })
}

/// The deliveries that pass the sieve, and the last one's place when a bound of the page cut them.
async fn load_page(
    snapshot: &Transaction<'_>,
    webhook: WebhookId,
    range: &DeliveryRange,
    limit: i64,
) -> Result<(Vec<Delivery>, Option<KeysetPosition>), StoreError> {
    let rows = run_page_query(snapshot, webhook, range, &range.row_filter(), (limit + 1, 0)).await?;
    let mut items = rows.iter().map(read_delivery).collect::<Result<Vec<_>, _>>()?;
    let bytes: Option<i64> = rows.last().map(|row| read(row, "bytes")).transpose()?.flatten();
    let full = i64::try_from(items.len()).is_ok_and(|found| found > limit);
    if full {
        items.pop();
    }
    let cut = full || bytes.is_some_and(|bytes| bytes >= MAX_PAGE_BYTES);
    let more_after = items.last().filter(|_| cut).map(Delivery::position);
    Ok((items, more_after))
}

/// Where the look-up stopped because it had looked through [`SCAN`] deliveries.
async fn find_scan_end(
    snapshot: &Transaction<'_>,
    webhook: WebhookId,
    range: &DeliveryRange,
) -> Result<Option<KeysetPosition>, StoreError> {
    let rows =
        run_page_query(snapshot, webhook, range, &RowFilter::default(), (1, MAX_SCANNED_ROWS - 1)).await?;
    rows.first().map(|row| read_delivery(row).map(|delivery| delivery.position())).transpose()
}

/// What a look-up sifts out of the rows that the index leads to.
#[derive(Default)]
struct RowFilter<'a> {
    pattern: Option<&'a str>,
    status: Option<DeliveryStatus>,
}

/// Runs the page's statement, planned anew with these values.
async fn run_page_query(
    snapshot: &Transaction<'_>,
    webhook: WebhookId,
    range: &DeliveryRange,
    sieve: &RowFilter<'_>,
    (limit, skip): (i64, i64),
) -> Result<Vec<Row>, StoreError> {
    let sql = match range.order {
        Order::Ascending => sql!("deliveries/page_asc"),
        Order::Descending => sql!("deliveries/page_desc"),
    };
    let in_index = range.status_in_index().map(DeliveryStatus::as_str);
    let status = sieve.status.map(DeliveryStatus::as_str);
    let (from, to) = (&range.after, &range.up_to);
    let params: [(&(dyn ToSql + Sync), Type); 12] = [
        (&webhook.0, Type::UUID),
        (&from.at, Type::TIMESTAMPTZ),
        (&from.id, Type::UUID),
        (&to.at, Type::TIMESTAMPTZ),
        (&to.id, Type::UUID),
        (&in_index, Type::TEXT),
        (&status, Type::TEXT),
        (&sieve.pattern, Type::TEXT),
        (&limit, Type::INT8),
        (&skip, Type::INT8),
        (&MAX_SCANNED_ROWS, Type::INT8),
        (&MAX_PAGE_BYTES, Type::INT8),
    ];
    Ok(snapshot.query_typed(sql, &params).await?)
}

/// The delivery of one event to one webhook of the brand.
///
/// # Errors
/// When the database fails.
pub async fn find_delivery(
    db: &impl Executor,
    brand: &BrandId,
    webhook: WebhookId,
    event: EventId,
) -> Result<Option<Delivery>, StoreError> {
    let row = db.query_row(sql!("deliveries/find"), &[&webhook.0, &event.to_uuid(), &brand.as_str()]).await?;
    row.as_ref().map(read_delivery).transpose()
}

fn read_delivery(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        event_id: EventId::from_uuid(read(row, "event_id")?),
        brand_id: read_word(row, "brand_id")?,
        created: read(row, "created")?,
        event_type: read(row, "type")?,
        data: read(row, "data")?,
        test: read(row, "test")?,
        status: read_word(row, "status")?,
        attempts: read(row, "attempts")?,
        last_attempt_at: read(row, "last_attempt_at")?,
        next_attempt_at: read(row, "next_attempt_at")?,
        last_error: read(row, "last_error")?,
    })
}
