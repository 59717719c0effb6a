use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Router, serve};
use serde_json::Value;
use standardwebhooks::Webhook; // cargo add axum serde_json standardwebhooks, and tokio --features full
use tokio::net::TcpListener;

struct App {
    webhook: Webhook,
    /// In production: a table with a unique key on the id of the event.
    saved: Mutex<HashSet<String>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = std::env::var("WEBHOOK_SECRET").unwrap_or_default(); // whsec_…
    if secret.is_empty() {
        return Err("set WEBHOOK_SECRET to the secret of the webhook".into());
    }
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    Ok(serve(listener, routes(&secret)?).await?)
}

pub fn routes(secret: &str) -> Result<Router, Box<dyn std::error::Error>> {
    let app = App { webhook: Webhook::new(secret)?, saved: Mutex::default() };
    Ok(Router::new().route("/webhooks", post(receive)).with_state(Arc::new(app)))
}

// `Bytes` is the raw body. `Json` would parse it.
async fn receive(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if app.webhook.verify(&body, &headers).is_err() {
        return StatusCode::BAD_REQUEST;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    // Fast, because Postrider waits 15 seconds at most.
    if save(&app, &event) {
        tokio::task::spawn_blocking(move || work(&event));
    }
    StatusCode::NO_CONTENT
}

/// Returns whether the event is new.
fn save(app: &App, event: &Value) -> bool {
    let id = event["id"].as_str().unwrap_or_default().to_owned();
    app.saved.lock().unwrap().insert(id)
}

/// Your own work. In production, another process reads the events from the table, so that a crash loses none.
fn work(event: &Value) {
    println!("{} {}", event["type"], event["id"]); // the data may be personal, so it is not logged
}
