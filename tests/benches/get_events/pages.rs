//! The pages that are measured.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::measure::{Page, Reader};
use e2e::filled::Filled;

/// Events on a page.
const LIMIT: i64 = 100;
/// Pages that one request skips on the way to a deep page, which is ten times the limit.
const STRIDE: i64 = 10;
/// Neighbours of a page that are measured with it, so that the requests do not all read the same rows.
const NEIGHBOURS: usize = 20;

/// Events that are looked up in turn, each with a key.
const LOOKUPS: i64 = 100;

/// A listing, identified by its query without the limit.
struct Listing<'a> {
    reader: &'a Reader,
    webhook: &'a str,
    query: String,
}

/// Returns all measured pages of this webhook (a path of the API), after the webhook itself as the lower
/// bound.
pub(crate) async fn all(reader: &Reader, webhook: &str, filled: &Filled) -> Vec<Page> {
    let whole = |more: &str| format!("from={}{more}", format_time(filled.began));
    let listing = |query: String| Listing { reader, webhook, query };
    // The deep page is the thousandth, or lies in the middle of a small database.
    let deep = (filled.events / LIMIT / 2).min(999);
    let mut pages = vec![Page { name: "the webhook itself".to_owned(), paths: vec![webhook.to_owned()] }];
    let plain = listing(whole(""));
    pages.push(plain.page("first", 0).await);
    pages.push(plain.page("thousandth", deep).await);
    // The same statement as at the end of a long walk, because a cursor holds a position and not its past.
    let end = listing(format!("from={}", format_time(filled.created(filled.events - 10 * LIMIT))));
    pages.push(end.page("last", 9).await);
    for (name, more, deep) in [
        ("newest first", "&order=desc", 0),
        ("newest first, thousandth", "&order=desc", deep),
        ("failed (1 in 500)", "&status=failed", 0),
        ("failed, a tenth of the way", "&status=failed", filled.events / 500 / LIMIT / 10),
        ("failed, newest first", "&status=failed&order=desc", 0),
        ("held (none)", "&status=held", 0),
        ("delivered", "&status=delivered", 0),
        ("delivered, thousandth", "&status=delivered", deep),
        ("type, 9 in 10", "&type=NOTIFICATION.SMS.RECEIPT", 0),
        ("type, 9 in 10, thousandth", "&type=NOTIFICATION.SMS.RECEIPT", deep * 8 / 9),
        ("type, 1 in 500", "&type=NOTIFICATION.PUSH.FAILED", 0),
        ("type, 1 in 500, newest first", "&type=NOTIFICATION.PUSH.FAILED&order=desc", 0),
        ("group of all types", "&type=NOTIFICATION", 0),
        ("failed of a type, 1 in 10", "&status=failed&type=NOTIFICATION.SMS", 0),
    ] {
        pages.push(listing(whole(more)).page(name, deep).await);
    }
    let brand = webhook.split_once("/webhooks/").expect("a webhook's path").0;
    pages.extend(lookups(reader, brand, filled).await);
    pages
}

/// Returns the lookups of "Where is my event?" of this brand (a path of the API), spread over all events.
async fn lookups(reader: &Reader, brand: &str, filled: &Filled) -> Vec<Page> {
    let tens = (filled.events / 10).max(1);
    let numbers: Vec<i64> = (0..LOOKUPS).map(|at| at * tens / LOOKUPS * 10).collect();
    let by = |name: &str, path: &dyn Fn(i64) -> String| Page {
        name: name.to_owned(),
        paths: numbers.iter().map(|number| path(*number)).collect(),
    };
    let by_message_id = by("lookup by message_id", &|number| format!("{brand}/events/message-{number}"));
    let mut ids = Vec::new();
    for path in &by_message_id.paths {
        ids.push(reader.read_id(path).await);
    }
    let by_id = ids.iter().map(|id| format!("{brand}/events/{id}")).collect();
    vec![
        Page { name: "lookup by id".to_owned(), paths: by_id },
        by_message_id,
        by("events with a key", &|number| format!("{brand}/events?key=order%20{number}")),
        by("search by key", &|number| format!("{brand}/search?q=order%20{number}")),
        Page { name: "events of the brand".to_owned(), paths: vec![format!("{brand}/events?limit={LIMIT}")] },
    ]
}

impl Listing<'_> {
    /// Returns the page after `skipped` others.
    async fn page(&self, name: &str, skipped: i64) -> Page {
        let mut cursor = None;
        for _ in 0..skipped / STRIDE {
            cursor = self.reader.next(&self.path(LIMIT * STRIDE, cursor.as_deref())).await;
        }
        for _ in 0..skipped % STRIDE {
            cursor = self.reader.next(&self.path(LIMIT, cursor.as_deref())).await;
        }
        let mut paths = vec![self.path(LIMIT, cursor.as_deref())];
        while skipped > 0 && paths.len() < NEIGHBOURS {
            let Some(next) = self.reader.next(&paths[paths.len() - 1]).await else { break };
            paths.push(self.path(LIMIT, Some(&next)));
        }
        Page { name: name.to_owned(), paths }
    }

    fn path(&self, limit: i64, cursor: Option<&str>) -> String {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        format!("{}/events?{}&limit={limit}{cursor}", self.webhook, self.query)
    }
}

fn format_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
