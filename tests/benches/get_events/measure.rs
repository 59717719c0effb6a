//! Requests pages, one after the other over one connection, and keeps the duration of each request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Requests before the measured ones.
const WARM_UP: usize = 20;
/// Measured requests.
const SAMPLES: usize = 400;

/// A page of a listing: its name in the table and the requests that read it in turn.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) paths: Vec<String>,
}

/// A user of the API with a connection that stays open.
pub(crate) struct Reader {
    client: reqwest::Client,
    base: String,
    token: String,
}

/// The measurements of a page.
pub(crate) struct Measurement {
    pub(crate) name: String,
    /// Number of items in the last sample.
    pub(crate) items: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Reader {
    pub(crate) fn new(api: SocketAddr, token: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { client, base: format!("http://{api}"), token: token.to_owned() }
    }

    pub(crate) async fn measure(&self, page: Page) -> Measurement {
        let mut took = Vec::with_capacity(SAMPLES);
        let mut last = String::new();
        for (sample, path) in page.paths.iter().cycle().take(WARM_UP + SAMPLES).enumerate() {
            let began = Instant::now();
            last = self.get(path).await;
            if sample >= WARM_UP {
                took.push(began.elapsed());
            }
        }
        took.sort_unstable();
        let items = json(&last)["items"].as_array().map_or(1, Vec::len);
        let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
        Measurement { name: page.name, items, p50: at(50), p99: at(99) }
    }

    /// The cursor of the page after this one.
    pub(crate) async fn next(&self, path: &str) -> Option<String> {
        json(&self.get(path).await)["nextCursor"].as_str().map(str::to_owned)
    }

    /// The id of the event at this path.
    pub(crate) async fn read_id(&self, path: &str) -> String {
        json(&self.get(path).await)["id"].as_str().expect("an id").to_owned()
    }

    async fn get(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert_eq!(status.as_u16(), 200, "{path}: {text}");
        text
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}
