//! Every response carries the same security headers, because all pages share the origin of the console's token.

use axum::http::Method;

use crate::support::TestApi;

const COMMON: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];
/// Directives that every content security policy needs, because `default-src` does not cover the last three.
const DIRECTIVES: [&str; 4] =
    ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"];

#[tokio::test]
async fn pages_files_and_problems_have_the_same_headers() {
    let api = TestApi::new().await;
    let anyone = api.anonymous();
    let mut paths = vec![
        "/console".to_owned(),
        "/console/brands/acme".to_owned(),
        "/console/assets/nothing.js".to_owned(),
        "/docs".to_owned(),
        "/docs/endpoints".to_owned(),
        "/docs/style.css".to_owned(),
        "/docs/api".to_owned(),
        "/docs/nothing".to_owned(),
        "/openapi.json".to_owned(),
        "/v1/me".to_owned(),
        "/nothing".to_owned(),
    ];
    // A build without the console has no assets.
    let page = anyone.get("/console").await.text;
    paths.extend(
        page.split("\"/console/assets/")
            .skip(1)
            .filter_map(|rest| Some(format!("/console/assets/{}", rest.split_once('"')?.0))),
    );
    let mut answers = Vec::new();
    for path in &paths {
        answers.push((path.as_str(), anyone.get(path).await));
    }
    answers.push(("DELETE /docs", anyone.send(Method::DELETE, "/docs", None).await));
    answers.push(("support", api.as_support().get("/admin/v1/brands").await));
    for (path, answer) in answers {
        for (name, value) in COMMON {
            assert_eq!(
                answer.headers.get(name).map(|value| value.as_bytes()),
                Some(value.as_bytes()),
                "{path}: {name}"
            );
        }
        let permissions = answer.headers["permissions-policy"].to_str().expect("text");
        assert!(permissions.contains("camera=()") && permissions.contains("geolocation=()"), "{path}");
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        let directives: Vec<&str> = policy.split("; ").collect();
        assert!(DIRECTIVES.iter().all(|needed| directives.contains(needed)), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{path}: {policy}");
    }
    api.drop_database().await;
}
