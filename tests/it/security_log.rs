//! The security log, and the notices at the start (`crates/SECURITY.md`).

use e2e::WAIT_TIMEOUT;
use e2e::brand::{create_support_token, create_token};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::Process;
use futures_util::future::join_all;

use crate::Stage;

/// Waits until a line of the log has all of these parts.
async fn wait_line(process: &Process, parts: &[&str]) -> String {
    eventually(&format!("the log has a line with {parts:?}"), WAIT_TIMEOUT, async || {
        let log = process.read_log();
        let line = log.lines().find(|line| parts.iter().all(|part| line.contains(part)));
        line.map(str::to_owned).ok_or_else(|| process.log_tail())
    })
    .await
}

#[tokio::test]
async fn refused_requests_and_readings_of_secrets_are_logged_with_address_token_and_route() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let api = &stage.platform.apis[0];
    let secret = stage.brand.webhook_path(&webhook, "/secret");
    let route = "/v1/{brandId}/webhooks/{webhookId}/secret";
    let reader = create_token(&stage.brand.support, "acme", "read").await;
    let tokens = stage.brand.support.list("/admin/v1/brands/acme/tokens", 100).await;
    let id = |role: &str| {
        let token = tokens.iter().find(|token| token["role"] == role).expect("a token");
        format!("token:{}", token["id"].as_str().expect("an id"))
    };

    let wrong = "prt_this-is-a-wrong-token-of-the-tests";
    for _ in 0..3 {
        let _ = stage.brand.api.with_token(Some(wrong)).get("/v1/acme/webhooks").await.expect_status(401);
    }
    let _ = stage.brand.api.with_token(Some(&reader)).get(&secret).await.expect_status(403);
    let _ = stage.brand.api.get(&secret).await.expect_status(200);
    let _ = stage.brand.support.get(&secret).await.expect_status(200);
    let (ada, named) = create_support_token(&stage.brand.support, "Ada").await;
    let _ = stage.brand.support.with_token(Some(&named)).get(&secret).await.expect_status(200);

    let line = wait_line(api, &["security", "401", "127.0.0.1", "/v1/{brandId}/webhooks"]).await;
    assert!(line.contains("caller=none"), "{line}");
    wait_line(api, &["security", "403", "127.0.0.1", &id("read"), route]).await;
    wait_line(api, &["security", "was read", "127.0.0.1", &id("write"), route, &webhook.id]).await;
    wait_line(api, &["security", "was read", "127.0.0.1", "caller=support ", route, &webhook.id]).await;
    let named_caller = format!("caller=support:{ada} ");
    wait_line(api, &["security", "was read", "127.0.0.1", &named_caller, route, &webhook.id]).await;
    let log = api.read_log();
    for token in [wrong, &reader, &named, stage.brand.api.token(), &webhook.secret] {
        assert!(!log.contains(token), "{log}");
    }
}

#[tokio::test]
async fn a_token_over_its_rate_is_logged() {
    let stage = Stage::with_builder(Platform::builder().set("POSTRIDER_TOKEN_RATE", "5")).await;
    let reader = create_token(&stage.brand.support, "acme", "read").await;
    let tokens = stage.brand.support.list("/admin/v1/brands/acme/tokens", 100).await;
    let token = tokens.iter().find(|token| token["role"] == "read").expect("a token");
    let id = format!("token:{}", token["id"].as_str().expect("an id"));
    let reader = stage.brand.api.with_token(Some(&reader));
    let mut refused = 0;
    while refused < 5 {
        let answers = join_all((0..5).map(|_| reader.get("/v1/acme/webhooks"))).await;
        refused += answers.iter().filter(|answer| answer.status == 429).count();
    }
    wait_line(&stage.platform.apis[0], &["security", "429", "127.0.0.1", &id]).await;
}

/// A flood of wrong tokens writes few lines.
#[tokio::test]
async fn a_flood_is_counted_in_few_lines() {
    let stage = Stage::new().await;
    let api = stage.brand.api.with_token(Some("prt_this-is-a-wrong-token-of-the-tests"));
    for _ in 0..30 {
        for answer in join_all((0..10).map(|_| api.get("/v1/acme/webhooks"))).await {
            let _ = answer.expect_status(401);
        }
    }
    let process = &stage.platform.apis[0];
    let lines = eventually("all are counted", WAIT_TIMEOUT, async || {
        let log = process.read_log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("requests were refused")).collect();
        let counts = lines.iter().filter_map(|line| {
            let (_, rest) = line.split_once("requests=")?;
            rest.split(' ').next()?.parse::<u32>().ok()
        });
        let total: u32 = counts.sum();
        if total == 300 { Ok(lines.len()) } else { Err(format!("{total}: {}", process.log_tail())) }
    })
    .await;
    assert!(lines <= 10, "{lines} lines");
}

#[tokio::test]
async fn settings_for_development_are_warned_about_at_the_start() {
    let stage = Stage::new().await;
    let platform = &stage.platform;
    for process in [&platform.apis[0], &platform.deliverers[0]] {
        wait_line(process, &["WARN", "POSTRIDER_ALLOW_NETWORKS"]).await;
    }
    wait_line(&platform.deliverers[0], &["POSTRIDER_EXTRA_CA_FILE"]).await;
    wait_line(&platform.routers[0], &["WARN", "AMQP_URL", "guest"]).await;
    assert!(!platform.routers[0].read_log().contains("DATABASE_URL: "), "it is this machine");
}
