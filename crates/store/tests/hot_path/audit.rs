//! The audit: each filter reads its index, and a page reads a bounded part of it.

use chrono::Utc;
use store::api::audit::{self, EntryFilter, MAX_SCANNED_ENTRIES};
use store::keyset::KeysetPosition;

use crate::support::TestStore;

/// Entries of the table. One in a hundred is about the brand, the actor, the action and the subject that tests look for.
const ENTRIES: i64 = 40_000;
const MAX_BUFFERS: i64 = 600;

const FILL: &str = "INSERT INTO audit (id, at, actor, action, brand_id, subject)
    SELECT gen_random_uuid(), now() - n * interval '1 s',
           CASE n % 100 WHEN 0 THEN 'token:1 rare' WHEN 1 THEN 'support:2 Ada' ELSE 'token:3 common' END,
           CASE WHEN n % 100 = 0 THEN 'rare' ELSE 'common' END,
           CASE WHEN n % 100 = 0 THEN 'rare' ELSE 'acme' END,
           CASE WHEN n % 100 = 0 THEN 'rare' ELSE 'common' END
    FROM generate_series(1, $1::bigint) AS n";

const PAGES: [(&str, &str, &str); 6] = [
    (include_str!("../../sql/audit/page.sql"), "audit_by_time", "NULL, NULL, NULL, NULL"),
    (include_str!("../../sql/audit/page_of_brand.sql"), "audit_by_brand", "'rare', NULL, NULL, NULL"),
    (include_str!("../../sql/audit/page_of_actor.sql"), "audit_by_actor", "NULL, 'token:1', NULL, NULL"),
    (include_str!("../../sql/audit/page_of_support.sql"), "audit_by_support", "NULL, 'support', NULL, NULL"),
    (include_str!("../../sql/audit/page_of_action.sql"), "audit_by_action", "NULL, NULL, 'rare', NULL"),
    (include_str!("../../sql/audit/page_of_subject.sql"), "audit_by_subject", "NULL, NULL, NULL, 'rare'"),
];

#[tokio::test]
async fn a_page_of_the_audit_reads_its_index_in_order() {
    let test = TestStore::new().await;
    test.sql.execute(FILL, &[&ENTRIES]).await.expect("filled");
    test.sql.batch_execute("VACUUM ANALYZE audit").await.expect("statistics");
    for (statement, index, filter) in PAGES {
        let position = "now(), 'ffffffff-ffff-ffff-ffff-ffffffffffff', now() - interval '1 day'";
        let (buffers, plan) = test.count_buffers(statement, &format!("{position}, {filter}, 51, 100")).await;
        assert!(plan.contains(index), "{index}: {plan}");
        assert!(buffers <= MAX_BUFFERS, "{index}: {buffers} buffers: {plan}");
    }
    test.drop_database().await;
}

#[tokio::test]
async fn a_page_without_matches_says_where_it_stopped() {
    let test = TestStore::new().await;
    test.sql.execute(FILL, &[&ENTRIES]).await.expect("filled");
    let brand = "acme".parse().expect("a brand");
    let filter =
        EntryFilter { brand: Some(brand), action: Some("rare".to_owned()), ..EntryFilter::default() };
    let mut after = KeysetPosition::last();
    let mut pages = 0;
    loop {
        let page = audit::list_entries(&test.store, &filter, after, 10).await.expect("a page");
        assert!(page.entries.is_empty(), "{page:?}");
        pages += 1;
        match page.scanned_to {
            Some(position) => after = position,
            None => break,
        }
    }
    let of_brand = ENTRIES - ENTRIES / 100;
    assert_eq!(pages, of_brand / MAX_SCANNED_ENTRIES + 1);
    let recent =
        EntryFilter { from: Some(Utc::now() + chrono::TimeDelta::hours(1)), ..EntryFilter::default() };
    let none = audit::list_entries(&test.store, &recent, KeysetPosition::last(), 10).await.expect("a page");
    assert!(none.entries.is_empty() && none.scanned_to.is_none());
    test.drop_database().await;
}
