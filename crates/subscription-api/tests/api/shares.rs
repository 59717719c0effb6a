//! One brand's requests beside another's: what waits for a lock, and bodies that do not arrive.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::Method;
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::{Answer, TestApi};

/// More requests than a brand may have in flight, and more than the pool has connections.
const MANY: usize = 40;

fn retry_after(answer: &Answer) -> u64 {
    answer.headers["retry-after"].to_str().expect("text").parse().expect("whole seconds")
}

/// A row that is locked makes each change of the webhook wait with a connection. They get their answer within a second
/// or wait in the brand's line, and the other brand and support notice nothing.
#[tokio::test]
async fn requests_that_wait_for_a_lock_cost_other_brands_nothing() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let globex = api.brand("globex", "write", &[]).await;
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("an id"));
    api.sql.batch_execute("BEGIN; SELECT 1 FROM webhooks FOR UPDATE").await.expect("locked");

    let change = json!({"description": "x"});
    let refused = join_all((0..MANY).map(|_| acme.patch(&path, &change)));
    let victims = async {
        for _ in 0..MANY {
            globex.get("/v1/globex/webhooks").await.expect(200);
            api.as_support().get("/admin/v1/brands/globex").await.expect(200);
        }
    };
    let (refused, ()) = tokio::join!(refused, victims);

    for answer in refused {
        assert_eq!(retry_after(&answer), 1);
        match answer.status.as_u16() {
            503 => assert!(answer.text.contains("another request is changing"), "{}", answer.text),
            429 => assert!(answer.text.contains("in flight"), "{}", answer.text),
            _ => panic!("{} {}", answer.status, answer.text),
        }
    }
    api.sql.batch_execute("ROLLBACK").await.expect("released");
    acme.patch(&path, &change).await.expect(200);
    api.drop_database().await;
}

/// A client that sends its body slowly holds neither a connection to PostgreSQL nor the brand's place in flight.
#[tokio::test]
async fn slow_bodies_cost_the_brand_itself_no_place_in_flight() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &[]).await;
    let (started, mut starts) = mpsc::unbounded_channel();
    let slow = join_all((0..8).map(|_| {
        let started = started.clone();
        let chunks = futures_util::stream::once(async move {
            started.send(()).expect("received");
            std::future::pending::<Result<Bytes, Infallible>>().await
        });
        acme.raw(Method::POST, "/v1/acme/webhooks", Some("application/json"), Body::from_stream(chunks))
    }));
    let others = async {
        for _ in 0..8 {
            starts.recv().await.expect("a body is being read");
        }
        for _ in 0..MANY {
            acme.get("/v1/acme/webhooks").await.expect(200);
        }
    };
    tokio::select! {
        _ = slow => panic!("a body without an end was read"),
        () = others => {}
    }
    api.drop_database().await;
}
