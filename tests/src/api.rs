//! A client of the subscription API, with a token and plain requests.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use http::{HeaderMap, Method};
use reqwest::Client;
use serde_json::Value;

use crate::WAIT_TIMEOUT;
use crate::poll::eventually;
use crate::secret_scan;
use crate::tls::install_crypto;

/// An API user: the address of the API, and a token.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method and path of the request, for messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub text: String,
}

impl Answer {
    /// Returns this answer if it has this status.
    ///
    /// # Panics
    /// When it has another status.
    #[must_use]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {} {}", self.request, self.status, self.text);
        self
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|e| panic!("{}: {e} in {:?}", self.request, self.text))
    }

    /// Checks that this is a problem (RFC 9457) of this status and returns it.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn expect_problem(self, status: u16) -> Value {
        let answer = self.expect_status(status);
        let content_type =
            answer.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert_eq!(content_type, "application/problem+json", "{}", answer.request);
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{problem}");
        for field in ["type", "title", "detail"] {
            assert!(problem[field].is_string(), "no {field} in {problem}");
        }
        problem
    }

    /// Returns the pointers of a 422, sorted.
    ///
    /// # Panics
    /// When it is not a 422 with errors.
    #[must_use]
    pub fn error_pointers(self) -> Vec<String> {
        let problem = self.expect_problem(422);
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors in {problem}"));
        let mut pointers: Vec<_> =
            errors.iter().map(|e| e["pointer"].as_str().unwrap_or("").to_owned()).collect();
        pointers.sort();
        pointers.dedup();
        pointers
    }
}

impl Api {
    /// Creates a user with this token at this address.
    #[must_use]
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self { base: format!("http://{address}"), token: token.map(str::to_owned) }
    }

    /// Returns the same user with another token.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { base: self.base.clone(), token: token.map(str::to_owned) }
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Sends a request with this body.
    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        self.send_with(method, path, body, &[]).await
    }

    /// Sends a request with this body and these headers. Repeats it as a user would while another transaction holds its
    /// resource, because a service that commits slowly on a busy machine does so for a moment.
    ///
    /// # Panics
    /// When there is no answer, or the resource stays held.
    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Answer {
        eventually("the resource is free", WAIT_TIMEOUT, async || {
            let sent = self.try_send_with(method.clone(), path, body.clone(), headers).await;
            let answer = sent.unwrap_or_else(|e| panic!("{e}"));
            let is_held = answer.status == 503 && answer.text.contains("resource-locked");
            if is_held { Err(answer.text) } else { Ok(answer) }
        })
        .await
    }

    /// Sends a request with this body to an API that may be unreachable.
    ///
    /// # Errors
    /// When there is no answer, so that nobody knows whether the API carried the request out.
    pub async fn try_send(&self, method: Method, path: &str, body: Option<String>) -> Result<Answer, String> {
        self.try_send_with(method, path, body, &[]).await
    }

    async fn try_send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let request = format!("{method} {path}");
        let mut builder = client().request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        if let Some(body) = body {
            builder = builder.header("content-type", "application/json").body(body);
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let response = builder.send().await.map_err(|e| format!("{request}: {e:?}"))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.map_err(|e| format!("{request}: {e:?}"))?;
        secret_scan::add_secrets_in(&text);
        Ok(Answer { request, status, headers, text })
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `POST` with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// `PUT` with JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(body.to_string())).await
    }

    /// `PATCH` with JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body.to_string())).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Returns all items of a list, read in pages of `limit`.
    ///
    /// # Panics
    /// When a page is not a list, or the pages do not end.
    pub async fn list(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10_000 {
            let joint = if path.contains('?') { '&' } else { '?' };
            let from = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = self.get(&format!("{path}{joint}limit={limit}{from}")).await.expect_status(200).json();
            let page_items = page["items"].as_array().unwrap_or_else(|| panic!("no items in {page}"));
            assert!(page_items.len() <= limit, "{} items on a page of {limit}", page_items.len());
            items.extend(page_items.iter().cloned());
            match &page["nextCursor"] {
                Value::Null => return items,
                next => cursor = Some(next.as_str().expect("a cursor is text").to_owned()),
            }
        }
        panic!("{path} has no last page");
    }
}

/// Returns the client of this test process; nextest runs each test in a process of its own.
fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        install_crypto();
        let builder = Client::builder().no_proxy().timeout(Duration::from_secs(60));
        // A test's runtime closes its connections when it ends, so none is kept for the next test.
        builder.pool_max_idle_per_host(0).build().expect("an HTTP client")
    })
}
