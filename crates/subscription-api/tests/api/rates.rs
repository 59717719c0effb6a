//! Rates: of a token, and of guesses.

use std::num::NonZeroU32;

use serde_json::json;

use crate::support::{Answer, SUPPORT, TestApi};

#[tokio::test]
async fn a_token_over_its_rate_is_told_when_to_come_back() {
    let api = TestApi::with_rate(NonZeroU32::new(3).expect("not zero")).await;
    let sql = "INSERT INTO brands (brand_id, name) VALUES ('acme', 'Acme')";
    api.sql.batch_execute(sql).await.expect("brand");
    let acme = api.token("acme", "read").await;
    let mut answers = Vec::new();
    // However slow the machine is, these come faster than three a second.
    while answers.last().is_none_or(|answer: &Answer| answer.status == 200) && answers.len() < 1000 {
        answers.push(acme.get("/v1/acme/webhooks").await);
    }
    let let_in = answers.len() - 1;
    assert!(let_in >= 6, "a burst of twice the rate: {let_in}");
    let refused = answers.into_iter().find(|answer| answer.status == 429).expect("one too many");
    let wait: u64 = refused.headers["retry-after"].to_str().expect("text").parse().expect("whole seconds");
    assert!((1..=2).contains(&wait));
    refused.problem(429);
    api.as_support().get("/admin/v1/brands/acme").await.expect(200);
    api.drop_it().await;
}

#[tokio::test]
async fn an_address_that_guesses_is_shut_out_but_not_the_others_behind_it() {
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
    let (guesses, answer) = refused.expect("guessing ends");
    assert!(guesses >= 100, "a client that is set up wrong is told so, not shut out");
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(429);
    acme.get("/v1/acme/webhooks").await.expect(200);
    api.anonymous().get("/v1/acme/webhooks").await.problem(401);
    let known = api.caller(SUPPORT).post("/admin/v1/brands", &json!({"brandId": "b", "name": "b"})).await;
    known.expect(201);
    api.drop_it().await;
}
