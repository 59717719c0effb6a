//! Cursors: with any filter, no row is listed twice or missed while rows arrive.

use chrono::{TimeDelta, Utc};
use serde_json::Value;

use crate::rows::Event;
use crate::support::TestApi;

#[tokio::test]
async fn each_event_is_listed_once_while_events_arrive() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id").to_owned();
    let base = Utc::now() - TimeDelta::hours(2);
    let at = |n: i64| base + TimeDelta::milliseconds(n * 10);
    for (query, descending) in
        [("", false), ("&order=desc", true), ("&status=pending", false), ("&type=NOTIFICATION", true)]
    {
        api.sql.batch_execute("TRUNCATE events, deliveries").await.expect("emptied");
        let mut before = Vec::new();
        for n in 0..40 {
            // Three events have the same instant, so that some pages end between them.
            before.push(Event::new().to(&id).created(at(n / 3 * 3)).insert(&api.sql).await);
        }
        let mut listed = Vec::<String>::new();
        let mut cursor = String::new();
        for n in 0.. {
            let path = format!("/v1/acme/webhooks/{id}/events?limit=7{query}{cursor}");
            let page = acme.get(&path).await.expect(200);
            let items = page["items"].as_array().expect("items");
            assert!(items.len() <= 7);
            listed.extend(items.iter().map(|item| item["id"].as_str().expect("id").to_owned()));
            let Value::String(next) = &page["nextCursor"] else { break };
            // The cursor carries the filters, so repeating them changes nothing.
            cursor = format!("&cursor={next}");
            for place in [-100 + n, 1 + n * 7, 1000 + n] {
                Event::new().to(&id).created(at(place)).insert(&api.sql).await;
            }
        }
        let unique: std::collections::BTreeSet<_> = listed.iter().collect();
        assert_eq!(unique.len(), listed.len(), "an event was listed twice: {query} {descending}");
        assert!(before.iter().all(|id| unique.contains(id)), "an event was missed: {query} {descending}");
    }
    api.drop_database().await;
}

#[tokio::test]
async fn a_cursor_carries_its_filters_and_refuses_others() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    for n in 0..6 {
        let status = if n % 2 == 0 { "failed" } else { "pending" };
        Event::new().to(id).created(Utc::now() - TimeDelta::minutes(n)).status(status).insert(&api.sql).await;
    }
    let path = format!("/v1/acme/webhooks/{id}/events");
    let page = acme.get(&format!("{path}?limit=1&status=failed&order=desc")).await.expect(200);
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    let bare = acme.get(&format!("{path}?cursor={cursor}")).await.expect(200);
    assert_eq!(bare["items"].as_array().map(Vec::len), Some(2));
    let repeated = acme.get(&format!("{path}?cursor={cursor}&status=failed&order=desc")).await.expect(200);
    assert_eq!(repeated, bare);
    for other in
        ["status=pending", "order=asc", "type=A", "from=2021-04-08T19:36:02Z", "to=2099-01-01T00:00:00Z"]
    {
        acme.get(&format!("{path}?cursor={cursor}&{other}")).await.problem(400);
    }
    acme.get(&format!("{path}?cursor={}", &cursor[1..])).await.problem(400);
    api.drop_database().await;
}

/// A page scans a bounded number of deliveries, so pages of a rare type are short, but the list is complete.
#[tokio::test]
async fn all_events_of_a_rare_type_are_found() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let base = Utc::now() - TimeDelta::hours(20);
    let fill = format!(
        "INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation, status, attempts, last_attempt_at)
         SELECT '{id}', '{base}'::timestamptz + n * interval '1 s', gen_random_uuid(), 'acme', 'COMMON', 1, 'delivered', 1, now()
         FROM generate_series(1, 25000) AS n",
        base = domain::time::format_timestamp(base)
    );
    api.sql.batch_execute(&fill).await.expect("filled");
    let mut rare = Vec::new();
    for second in [5, 12_000, 24_990] {
        let event = Event::new().to(id).created(base + TimeDelta::seconds(second)).event_type("RARE");
        rare.push(event.insert(&api.sql).await);
    }
    let path = format!("/v1/acme/webhooks/{id}/events");
    let first = acme.get(&format!("{path}?type=RARE&limit=10")).await.expect(200);
    assert_eq!(first["items"].as_array().map(Vec::len), Some(1), "the scan is bounded");
    for query in ["type=RARE", "type=RARE&status=pending", "type=RARE&order=desc", "status=pending"] {
        let listed = acme.list_all(&format!("{path}?{query}"), 10).await;
        let mut listed: Vec<_> =
            listed.iter().map(|item| item["id"].as_str().expect("id").to_owned()).collect();
        if query.contains("desc") {
            listed.reverse();
        }
        assert_eq!(listed, rare, "{query}");
    }
    assert_eq!(acme.list_all(&format!("{path}?type=RARE&status=delivered"), 10).await.len(), 0);
    api.drop_database().await;
}

#[tokio::test]
async fn the_size_of_a_page_is_bounded() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let large = format!("\"{}\"", "x".repeat(250_000));
    for n in 0..50 {
        Event::new().to(id).created(Utc::now() - TimeDelta::seconds(n)).data(&large).insert(&api.sql).await;
    }
    let path = format!("/v1/acme/webhooks/{id}/events");
    let page = acme.get(&format!("{path}?limit=1000")).await;
    assert!(page.text.len() < 10 * 1024 * 1024, "{}", page.text.len());
    let page = page.expect(200);
    assert!(page["nextCursor"].is_string() && page["items"].as_array().is_some_and(|items| items.len() > 10));
    assert_eq!(acme.list_all(&path, 1000).await.len(), 50);
    api.drop_database().await;
}
