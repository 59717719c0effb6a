//! The rate of a token, and wrong tokens beside valid ones.

use std::num::NonZeroU32;

use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Answer, Caller, TestApi};

#[tokio::test]
async fn a_token_over_its_rate_gets_429_with_retry_after() {
    let api = TestApi::with_rate(NonZeroU32::new(3).expect("not zero")).await;
    let sql = "INSERT INTO brands (brand_id, name) VALUES ('acme', 'Acme')";
    api.sql.batch_execute(sql).await.expect("brand");
    let acme = api.token("acme", "read").await;
    let mut answers = Vec::new();
    // Even on a slow machine, these requests come faster than three a second.
    while answers.last().is_none_or(|answer: &Answer| answer.status == 200) && answers.len() < 1000 {
        answers.push(acme.get("/v1/acme/webhooks").await);
    }
    let accepted = answers.len() - 1;
    assert!(accepted >= 6, "a burst of twice the rate: {accepted}");
    let refused = answers.into_iter().find(|answer| answer.status == 429).expect("one too many");
    let wait: u64 = refused.headers["retry-after"].to_str().expect("text").parse().expect("whole seconds");
    assert!((1..=2).contains(&wait));
    refused.problem(429);
    api.as_support().get("/admin/v1/brands/acme").await.expect(200);
    api.drop_database().await;
}

#[tokio::test]
async fn an_expensive_request_counts_as_several() {
    let api = TestApi::with_rate(NonZeroU32::new(60).expect("not zero")).await;
    let sql = "INSERT INTO brands (brand_id, name) VALUES ('acme', 'Acme')";
    api.sql.batch_execute(sql).await.expect("brand");
    let acme = api.token("acme", "write").await;
    let path = format!("/v1/acme/webhooks/{}/redeliver", Uuid::new_v4());
    let range = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"});
    let mut answers = vec![acme.post(&path, &range).await];
    while answers.last().is_some_and(|last| last.status != 429) && answers.len() < 100 {
        answers.push(acme.post(&path, &range).await);
    }
    // A burst of 120 has room for two ranges of 50. Even on a slow machine, a hundred do not fit.
    assert!(answers.len() >= 3, "{} answers", answers.len());
    answers.pop().expect("an answer").problem(429);
    let other = api.token("acme", "read").await;
    for _ in 0..20 {
        other.get("/v1/acme/webhooks").await.expect(200);
    }
    api.drop_database().await;
}

/// Valid tokens at first use, of support, of a token that was valid before, and of a replica that has seen none of
/// them.
#[tokio::test]
async fn wrong_tokens_never_lock_out_valid_ones() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "read", &[]).await;
    let mut fresh = Vec::new();
    for _ in 0..20 {
        fresh.push(api.token("acme", "read").await);
    }
    let replica = api.another_replica();
    // A dozen times the places of a site. A guess that waits for too long is refused as busy.
    let guess = async |caller: Caller<'_>| {
        let answer = caller.get("/v1/acme/webhooks").await;
        assert!([401, 503].contains(&answer.status.as_u16()), "{}", answer.text);
    };
    let wrong = join_all((0..100).map(async |n| {
        let caller = api.caller(&format!("prt_guess{n}"));
        guess(caller.clone()).await;
        guess(caller.on(&replica)).await;
    }));
    let valid = async {
        for caller in &fresh {
            caller.get("/v1/acme/webhooks").await.expect(200);
            acme.get("/v1/acme/webhooks").await.expect(200);
            caller.on(&replica).get("/v1/acme/webhooks").await.expect(200);
            api.as_support().get("/admin/v1/brands/acme").await.expect(200);
        }
    };
    let _ = tokio::join!(wrong, valid);
    api.caller("prt_guess0").get("/v1/acme/webhooks").await.problem(401);
    api.drop_database().await;
}
