//! The quotas of brands as the API reads them.

use domain::ids::BrandId;
use domain::quota::{DEFAULT_WAITING_BYTES, Quota};
use store::api::{backlogs, quota_shares};
use store::routing::backlogs::list_backlogs;
use store::routing::configuration::NO_VERSION;
use store::routing::publishing::{self, PublishingChanges};
use uuid::Uuid;

use crate::support::TestStore;

#[tokio::test]
async fn processes_that_use_a_rate_count_each_other() {
    let test = TestStore::new().await;
    test.sql.batch_execute("INSERT INTO brands (brand_id, name) VALUES ('other', 'x')").await.expect("brand");
    let other: BrandId = "other".parse().expect("brand");
    let both = [test.brand.clone(), other.clone()];
    let first = Uuid::new_v4();
    let renew = async |instance, brands: &[BrandId]| {
        let mut shares = quota_shares::renew_shares(&test.store, instance, brands).await.expect("renewed");
        shares.sort();
        shares
    };
    assert_eq!(renew(first, &both).await, [(test.brand.clone(), 1), (other.clone(), 1)]);
    assert_eq!(renew(Uuid::new_v4(), std::slice::from_ref(&other)).await, [(other.clone(), 2)]);
    assert_eq!(
        renew(first, &both).await,
        [(test.brand.clone(), 1), (other.clone(), 2)],
        "it renews its rows"
    );
    let old = "UPDATE quota_shares SET last_used = now() - interval '1 hour'";
    test.sql.batch_execute(old).await.expect("old");
    assert_eq!(renew(first, &both).await, [(test.brand.clone(), 1), (other, 1)]);
    assert_eq!(test.count_rows("quota_shares").await, 2, "an ended share is removed");
    test.drop_database().await;
}

#[tokio::test]
async fn a_backlog_is_full_at_the_quota_or_its_default() {
    let test = TestStore::new().await;
    let full = async || backlogs::list_full_backlogs(&test.store).await.expect("listed");
    let set = async |bytes: u64| {
        let row = "INSERT INTO brand_backlogs VALUES ('acme', 1, $1, now()) \
                   ON CONFLICT (brand_id) DO UPDATE SET waiting_bytes = excluded.waiting_bytes";
        test.sql.execute(row, &[&i64::try_from(bytes).expect("a size")]).await.expect("set");
    };
    set(DEFAULT_WAITING_BYTES - 1).await;
    assert_eq!(full().await, []);
    set(DEFAULT_WAITING_BYTES).await;
    assert_eq!(full().await, std::slice::from_ref(&test.brand));
    let raised = "UPDATE brands SET quota_waiting_bytes = 2 * 1024 * 1024 * 1024::bigint";
    test.sql.batch_execute(raised).await.expect("raised");
    assert_eq!(full().await, []);
    test.drop_database().await;
}

#[tokio::test]
async fn backlogs_are_listed_page_by_page() {
    let test = TestStore::new().await;
    let brands: Vec<String> = (0..5).map(|number| format!("brand-{number}")).collect();
    let rows = "INSERT INTO brands (brand_id, name) SELECT unnest($1::text[]), 'x'";
    test.sql.execute(rows, &[&brands]).await.expect("brands");
    let rows = "INSERT INTO brand_backlogs SELECT unnest($1::text[]), 0, 0, now()";
    test.sql.execute(rows, &[&brands]).await.expect("backlogs");
    test.sql
        .batch_execute("UPDATE brand_backlogs SET waiting_events = 3 WHERE brand_id = 'brand-3'")
        .await
        .expect("set");
    for (all, expected) in [(true, brands), (false, vec!["brand-3".to_owned()])] {
        let mut listed = Vec::new();
        let mut pages = 0;
        let mut after = None;
        loop {
            let page = list_backlogs(&test.store, all, after.as_ref(), 2).await.expect("listed");
            assert!(page.backlogs.len() <= 2);
            listed.extend(page.backlogs.into_iter().map(|backlog| backlog.brand_id.to_string()));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((pages, listed), (expected.len().div_ceil(2), expected));
    }
    test.drop_database().await;
}

#[tokio::test]
async fn only_changes_are_loaded_for_publishing() {
    let test = TestStore::new().await;
    let load = async |known| publishing::load_publishing_changes(&test.store, known).await.expect("loaded");
    let PublishingChanges { mut version, event_types, brands, .. } = load(NO_VERSION).await.expect("all");
    let built_in: Vec<_> = event_types.iter().filter(|change| change.built_in).collect();
    assert_eq!((built_in.len(), brands.len()), (1, 1));
    assert!(load(version).await.is_none());
    let mut change = async |sql: &str| {
        test.sql.batch_execute(sql).await.expect("changed");
        let changes = load(version).await.expect("a change");
        version = changes.version;
        changes
    };
    let changes = change("UPDATE brands SET quota_events_per_second = 5").await;
    assert_eq!(changes.brands[0].quotas.get(Quota::EventsPerSecond), Some(5));
    assert!(changes.event_types.is_empty() && changes.changed_subscribers.is_empty());
    let changes =
        change("UPDATE event_types SET schema = 'true', enforce_schema = true WHERE NOT built_in").await;
    let (name, at) = (&changes.event_types[0].name, changes.event_types[0].version);
    assert!(changes.event_types[0].enforced);
    let schema = publishing::load_enforced_schema(&test.store, name).await.expect("loaded");
    assert_eq!(schema, Some((at, "true".to_owned())));
    test.insert_webhook().await;
    let changes = change("UPDATE webhooks SET events = '{A,B}'").await;
    assert_eq!(changes.changed_subscribers, std::slice::from_ref(&test.brand));
    test.insert_webhook().await;
    let subscriptions = publishing::load_subscriptions(&test.store, &test.brand).await.expect("loaded");
    assert_eq!(subscriptions.iter().map(|own| own.webhooks).sum::<i64>(), 2);
    test.drop_database().await;
}
