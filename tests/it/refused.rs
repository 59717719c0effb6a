//! Statements that PostgreSQL refuses because of one event or attempt, which must not stop the others.

use e2e::WAIT_TIMEOUT;
use e2e::database;
use e2e::event::{Event, ids};
use e2e::script::Reply;
use ulid::Ulid;

use crate::Stage;

/// Makes PostgreSQL refuse rows that satisfy a condition.
async fn refuse_rows(stage: &Stage, table: &str, before: &str, condition: &str) {
    let sql = database::connect(&stage.platform.database_url()).await.expect("the database");
    let name = format!("refuse_{table}");
    sql.batch_execute(&format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'a test refuses %', repeat('ä', 1000); END $$;
         CREATE TRIGGER {name} BEFORE {before} ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {name}()"
    ))
    .await
    .expect("a trigger");
}

/// Returns `column = 'the stored event'`.
fn column_equals(column: &str, event: &Event) -> String {
    let id: Ulid = event.id().parse().expect("a ULID");
    format!("{column} = '{:032x}'", u128::from(id))
}

#[tokio::test]
async fn an_event_that_the_database_refuses_is_rejected_alone() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events = Event::sms_batch("acme", 30);
    let refused = [&events[3], &events[17], &events[18]];
    let condition = refused.map(|event| column_equals("NEW.id", event)).join(" OR ");
    refuse_rows(&stage, "events", "INSERT", &condition).await;
    // They all form one batch.
    stage.platform.routers[0].terminate().await;
    stage.platform.producer().await.publish_all(&events).await;
    stage.platform.routers[0].start();
    stage.platform.routers[0].wait_ready().await;

    let others = ids(events.iter().filter(|event| !refused.iter().any(|other| other.id() == event.id())));
    stage.brand.wait_listed(&webhook, "status=delivered", &others, WAIT_TIMEOUT).await;
    endpoint.wait_for_requests(others.len()).await;
    let rabbit = stage.platform.rabbit().await;
    for _ in refused {
        let taken = rabbit.take_message("rejected").await;
        assert_eq!(taken.header("x-reject-reason"), "storage_refused");
        let detail = taken.header("x-reject-detail");
        assert!(detail.starts_with("a test refuses ä") && (1020..=1024).contains(&detail.len()), "{detail}");
        assert!(refused.iter().any(|event| event.body().as_bytes() == taken.body));
    }
    assert_eq!(rabbit.queue_depth("rejected").await, Some(0));
}

#[tokio::test]
async fn a_refused_attempt_record_stops_no_delivery() {
    let stage = Stage::with_builder(e2e::platform::Platform::builder().retries("1s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events = Event::sms_batch("acme", 30);
    let details = &events[2];
    let attempt = &events[3];
    let outcome = &events[4];
    let text = format!("{} AND NEW.response_body IS NOT NULL", column_equals("NEW.event_id", details));
    refuse_rows(
        &stage,
        "attempts",
        "INSERT",
        &format!("{text} OR {}", column_equals("NEW.event_id", attempt)),
    )
    .await;
    refuse_rows(&stage, "deliveries", "UPDATE", &column_equals("NEW.event_id", outcome)).await;
    endpoint.answer_each([Reply::status(500).text("text"), Reply::ok().text("text")]);
    stage.platform.producer().await.publish_all(&events).await;

    let others = ids(events.iter().filter(|event| event.id() != outcome.id()));
    stage.brand.wait_listed(&webhook, "status=delivered", &others, WAIT_TIMEOUT).await;
    for (event, kept) in [(&events[0], Some("text")), (details, None)] {
        let attempts = stage.brand.wait_attempts(&webhook, event.id(), 2).await;
        assert!(attempts.iter().all(|attempt| attempt["responseBody"].as_str() == kept), "{attempts:?}");
    }
    assert!(stage.brand.list_attempts(&webhook, attempt.id()).await.is_empty());
    // Its retry came, too; only the database still shows it as pending.
    let of_outcome = || endpoint.requests().into_iter().filter(|request| request.event_id() == outcome.id());
    endpoint.wait_for_requests(events.len() * 2).await;
    assert!(of_outcome().count() >= 2);
    assert_eq!(
        stage.brand.find_event(&webhook, outcome.id()).await.expect("listed")["delivery"]["status"],
        "pending"
    );
}
