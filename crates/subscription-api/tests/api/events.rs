//! Get Events: the list, single events and their attempts.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::rows::Event;
use crate::support::TestApi;

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().expect("id").to_owned()).collect()
}

fn path(webhook: &Value) -> String {
    format!("/v1/acme/webhooks/{}/events", webhook["id"].as_str().expect("id"))
}

fn rfc3339(at: chrono::DateTime<Utc>) -> String {
    domain::time::format_timestamp(at)
}

#[tokio::test]
async fn an_event_is_listed_and_read_as_it_was_published() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let data = r#"{"b":12345678901234567890, "a" : 1.10,"s":"ä\u00e4 "}"#;
    let event = Event::new().to(id).data(data);
    event.insert(&api.sql).await;
    let list = acme.get(&path(&webhook)).await;
    assert!(list.text.contains(&format!("\"data\":{data},")), "{}", list.text);
    let listed = list.expect(200);
    let read = acme.get(&format!("{}/{}", path(&webhook), event.id)).await;
    assert!(read.text.contains(&format!("\"data\":{data},")), "{}", read.text);
    assert!(read.text.starts_with(&format!(
        "{{\"id\":\"{}\",\"brandId\":\"acme\",\"webhookId\":\"{id}\",\"created\":",
        event.id
    )));
    let read = read.expect(200);
    assert_eq!(listed["items"], json!([read]));
    assert_eq!(read.get("attemptId"), None);
    assert_eq!(read.get("test"), None);
    let delivery = json!({"status": "pending", "attempts": 0, "lastAttemptAt": null, "nextAttemptAt": null, "lastError": null});
    assert_eq!(read["delivery"], delivery);
    let lower = format!("{}/{}", path(&webhook), event.id.to_string().to_lowercase());
    acme.get(&lower).await.expect(200);
    for other in ["01F2SFVYVD0H873S2VRT8VQSPM", "nonsense", "81F2SFVYVD0H873S2VRT8VQSPM"] {
        acme.get(&format!("{}/{other}", path(&webhook))).await.problem(404);
        acme.get(&format!("{}/{other}/attempts", path(&webhook))).await.problem(404);
    }
    api.drop_database().await;
}

#[tokio::test]
async fn test_events_are_marked_and_show_their_delivery() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let event = Event::new().to(webhook["id"].as_str().expect("id")).test();
    event.insert(&api.sql).await;
    let update = "UPDATE deliveries SET attempts = 2, last_attempt_at = now(), next_attempt_at = now() + interval '5 s', \
                  last_error = 'answered 500'";
    api.sql.batch_execute(update).await.expect("updated");
    let read = acme.get(&format!("{}/{}", path(&webhook), event.id)).await.expect(200);
    assert_eq!(read["test"], true);
    assert_eq!(
        (&read["delivery"]["attempts"], &read["delivery"]["lastError"]),
        (&json!(2), &json!("answered 500"))
    );
    for time in ["lastAttemptAt", "nextAttemptAt"] {
        let text = read["delivery"][time].as_str().expect("a time");
        assert!(text.len() == 24 && text.ends_with('Z'), "{text}");
    }
    api.drop_database().await;
}

#[tokio::test]
async fn attempts_are_listed_oldest_first() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let event = Event::new().to(webhook["id"].as_str().expect("id"));
    event.insert(&api.sql).await;
    let attempts = format!("{}/{}/attempts", path(&webhook), event.id);
    assert_eq!(acme.get(&attempts).await.expect(200), json!({"items": [], "nextCursor": null}));
    let mut created = Vec::new();
    for (outcome, trigger) in [("http_status", "fresh"), ("timeout", "retry"), ("delivered", "redeliver")] {
        created.push(event.attempt(&api.sql, outcome, trigger).await);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await; // a ULID of its own millisecond
    }
    let listed = acme.list_all(&attempts, 2).await;
    let listed_ids: Vec<_> = listed.iter().map(|a| a["attemptId"].as_str().expect("id").to_owned()).collect();
    assert_eq!(listed_ids, created);
    let started = listed[0]["startedAt"].clone();
    let expected = json!({"attemptId": created[0], "startedAt": started, "durationMs": 12, "outcome": "http_status",
        "statusCode": 500, "error": "answered 500", "responseBody": "oops", "trigger": "fresh"});
    assert_eq!(listed[0], expected);
    api.drop_database().await;
}

#[tokio::test]
async fn the_range_includes_its_start_and_excludes_its_end() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let now = domain::time::truncate_to_millis(Utc::now());
    let mut created = Vec::new();
    for hours in (0..5).rev() {
        created.push(Event::new().to(id).created(now - TimeDelta::hours(hours)).insert(&api.sql).await);
    }
    let at = |hours: i64| rfc3339(now - TimeDelta::hours(hours));
    let listed = async |query: String| ids(&acme.list_all(&format!("{}?{query}", path(&webhook)), 2).await);
    assert_eq!(listed(String::new()).await, created, "oldest first");
    assert_eq!(listed(format!("from={}&to={}", at(3), at(1))).await, created[1..3]);
    assert_eq!(listed(format!("from={}", at(2))).await, created[2..]);
    assert_eq!(listed(format!("to={}", at(2))).await, created[..2]);
    assert_eq!(listed(format!("from={}&to={}&order=asc", at(3), at(1))).await, created[1..3]);
    let mut reversed = created.clone();
    reversed.reverse();
    assert_eq!(listed("order=desc".to_owned()).await, reversed);
    assert_eq!(listed(format!("order=desc&from={}&to={}", at(3), at(1))).await, reversed[2..4]);
    let between = rfc3339(now - TimeDelta::hours(2)).replace('Z', "5Z");
    assert_eq!(
        listed(format!("from={between}")).await,
        created[3..],
        "a bound between milliseconds is rounded up"
    );
    assert_eq!(listed(format!("to={between}")).await, created[..3]);
    let offset =
        (now - TimeDelta::hours(2)).with_timezone(&chrono::FixedOffset::east_opt(7200).expect("offset"));
    assert_eq!(
        listed(format!("from={}", offset.to_rfc3339())).await,
        created[2..],
        "a + that was decoded as a space"
    );
    api.drop_database().await;
}

#[tokio::test]
async fn the_list_starts_seven_days_ago_by_default() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let week_ago = Utc::now() - TimeDelta::days(7);
    let old = week_ago - TimeDelta::minutes(5);
    let young = week_ago + TimeDelta::minutes(5);
    let day = old.date_naive();
    api.sql.execute("SELECT make_day_partitions($1, $1)", &[&day]).await.expect("a partition");
    let old = (old, Event::new().to(id).created(old).insert(&api.sql).await);
    let young = Event::new().to(id).created(young).insert(&api.sql).await;
    let ahead = Event::new().to(id).created(Utc::now() + TimeDelta::minutes(4)).insert(&api.sql).await;
    assert_eq!(ids(&acme.list_all(&path(&webhook), 10).await), [young.clone(), ahead.clone()]);
    let from = rfc3339(old.0 - TimeDelta::minutes(1));
    assert_eq!(
        ids(&acme.list_all(&format!("{}?from={from}", path(&webhook)), 1).await),
        [old.1, young, ahead]
    );
    api.drop_database().await;
}

#[tokio::test]
async fn the_list_is_filtered_by_type_and_status() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let now = Utc::now() - TimeDelta::hours(1);
    let mut created = Vec::new();
    for (n, status) in ["pending", "delivered", "failed", "held", "discarded"].into_iter().enumerate() {
        for (m, event_type) in ["A.X", "A.Y", "AB", "A.X.Z"].into_iter().enumerate() {
            let at = now + TimeDelta::seconds(i64::try_from(n * 10 + m).expect("small"));
            let event = Event::new().to(id).created(at).event_type(event_type).status(status);
            created.push((status, event_type, event.insert(&api.sql).await));
        }
    }
    let expected = |status: &str, covered: &[&str]| {
        let matches =
            created.iter().filter(|(s, t, _)| (status.is_empty() || *s == status) && covered.contains(t));
        matches.map(|(_, _, id)| id.clone()).collect::<Vec<_>>()
    };
    for (pattern, covered) in [
        ("", &["A.X", "A.Y", "AB", "A.X.Z"][..]),
        ("*", &["A.X", "A.Y", "AB", "A.X.Z"]),
        ("A", &["A.X", "A.Y", "A.X.Z"]),
        ("A.X", &["A.X", "A.X.Z"]),
        ("AB", &["AB"]),
        ("C", &[]),
    ] {
        for status in ["", "pending", "delivered", "failed", "held", "discarded"] {
            let mut query = String::new();
            if !pattern.is_empty() {
                query.push_str(&format!("&type={pattern}"));
            }
            if !status.is_empty() {
                query.push_str(&format!("&status={status}"));
            }
            let ascending = ids(&acme.list_all(&format!("{}?{query}", path(&webhook)), 2).await);
            assert_eq!(ascending, expected(status, covered), "{query}");
            let mut descending =
                ids(&acme.list_all(&format!("{}?order=desc{query}", path(&webhook)), 3).await);
            descending.reverse();
            assert_eq!(descending, ascending, "{query}");
        }
    }
    api.drop_database().await;
}

#[tokio::test]
async fn invalid_parameters_are_refused() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    for bad in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=x",
        "cursor=",
        "from=yesterday",
        "to=1617910562",
        "type=lower",
        "type=",
        "status=lost",
        "order=up",
        "typo=1",
        "limit=1&limit=2",
        "from=2021-04-08T19:36:02",
        "from=2021-04-08T19:36:02Z&to=2021-04-08T19:36:02Z",
        "from=2022-01-01T00:00:00Z&to=2021-01-01T00:00:00Z",
    ] {
        acme.get(&format!("{}?{bad}", path(&webhook))).await.problem(400);
    }
    let both = acme.get(&format!("{}?limit=0&order=up&typo=1", path(&webhook))).await.problem(400);
    for named in ["limit", "order", "typo"] {
        assert!(both["detail"].as_str().expect("detail").contains(named), "{both}");
    }
    api.drop_database().await;
}

#[tokio::test]
async fn support_reads_the_events_of_a_deleted_webhook() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let event = Event::new().to(webhook["id"].as_str().expect("id"));
    event.insert(&api.sql).await;
    event.attempt(&api.sql, "timeout", "fresh").await;
    acme.delete(&format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"))).await.expect(204);
    let support = api.as_support();
    let one = format!("{}/{}", path(&webhook), event.id);
    assert_eq!(ids(&support.list_all(&path(&webhook), 10).await), [event.id.to_string()]);
    support.get(&one).await.expect(200);
    assert_eq!(support.list_all(&format!("{one}/attempts"), 10).await.len(), 1);
    for gone in [path(&webhook), one.clone(), format!("{one}/attempts")] {
        acme.get(&gone).await.problem(404);
    }
    api.drop_database().await;
}
