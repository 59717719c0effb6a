//! Rate limits: of a token, and of wrong tokens from an address.

use std::num::NonZeroU32;

use serde_json::json;

use crate::support::{Answer, SUPPORT, TestApi};

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
async fn an_address_that_guesses_is_blocked_except_for_its_known_tokens() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "read", &[]).await;
    acme.get("/v1/acme/webhooks").await.expect(200);
    let mut refused = None;
    for n in 0..400 {
        let answer = api.caller(&format!("prt_guess{n}")).get("/v1/acme/webhooks").await;
        if answer.status == 429 {
            refused = Some((n, answer));
            break;
        }
        answer.problem(401);
    }
    let (guesses, answer) = refused.expect("the address is blocked");
    assert!(guesses >= 100, "a misconfigured client gets 401 and is not blocked");
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(429);
    acme.get("/v1/acme/webhooks").await.expect(200);
    api.anonymous().get("/v1/acme/webhooks").await.problem(401);
    let known = api.caller(SUPPORT).post("/admin/v1/brands", &json!({"brandId": "b", "name": "b"})).await;
    known.expect(201);
    api.drop_database().await;
}
