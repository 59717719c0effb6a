//! The HTTP client. It returns response bodies as text, so that no number loses a digit.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use crate::error::{Error, Refusal};

/// Timeout of a request to the API, response included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// User agent of requests to the API. `listen` forwards events with the platform's instead.
const USER_AGENT: &str = concat!("postrider-cli/", env!("CARGO_PKG_VERSION"));
/// Maximum `limit` of a list (contract §4).
pub(crate) const MAX_PAGE_SIZE: usize = 1000;

/// The API at one URL, with one token.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

/// Names and values of query parameters.
pub(crate) type Query<'a> = Vec<(&'a str, String)>;

/// Builds an HTTP client that follows no redirects and uses no proxy.
pub(crate) fn build_http_client() -> Result<reqwest::Client, Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Usage(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(REQUEST_TIMEOUT)
        .user_agent(USER_AGENT)
        .build()
        .map_err(|error| Error::Usage(error.to_string()))
}

impl Client {
    pub(crate) fn new(base: Url, token: String) -> Result<Self, Error> {
        Ok(Self { http: build_http_client()?, base, token })
    }

    /// Gets a resource as text.
    pub(crate) async fn get(&self, path: &[&str], query: &Query<'_>) -> Result<String, Error> {
        self.send_request(Method::GET, path, query, None).await
    }

    /// Gets a resource and parses it.
    pub(crate) async fn get_json<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<T, Error> {
        parse_json(&self.get(path, query).await?)
    }

    /// Sends a request with a JSON body.
    pub(crate) async fn send_json(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<String, Error> {
        self.send_request(method, path, &Query::new(), Some(to_json(body)?)).await
    }

    /// Posts a JSON body with a query.
    pub(crate) async fn post_with_query(
        &self,
        path: &[&str],
        query: &Query<'_>,
        body: &impl Serialize,
    ) -> Result<String, Error> {
        self.send_request(Method::POST, path, query, Some(to_json(body)?)).await
    }

    /// Sends a request without a body.
    pub(crate) async fn send_empty(&self, method: Method, path: &[&str]) -> Result<String, Error> {
        self.send_request(method, path, &Query::new(), None).await
    }

    /// Gets a resource as text. Returns `None` if it does not exist.
    pub(crate) async fn get_found(&self, path: &[&str], query: &Query<'_>) -> Result<Option<String>, Error> {
        match self.get(path, query).await {
            Err(Error::Refused(refusal)) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Deletes the resources that a query names.
    pub(crate) async fn delete_matching(&self, path: &[&str], query: &Query<'_>) -> Result<String, Error> {
        self.send_request(Method::DELETE, path, query, None).await
    }

    /// Lists the first `limit` items, page by page.
    pub(crate) async fn list_items(
        &self,
        path: &[&str],
        query: Query<'_>,
        limit: usize,
    ) -> Result<Vec<Box<RawValue>>, Error> {
        let mut items = Vec::new();
        let collect = |page: &[Box<RawValue>]| {
            items.extend_from_slice(page);
            Ok(())
        };
        self.walk_pages(path, query, Some(limit), collect).await?;
        Ok(items)
    }

    /// Passes a list to `handle` page by page, up to `limit` items. Returns whether the list has more.
    pub(crate) async fn walk_pages(
        &self,
        path: &[&str],
        mut query: Query<'_>,
        limit: Option<usize>,
        mut handle: impl FnMut(&[Box<RawValue>]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let mut left = limit.unwrap_or(usize::MAX);
        loop {
            let mut page_query = query.clone();
            page_query.push(("limit", left.clamp(1, MAX_PAGE_SIZE).to_string()));
            let page: Page<Box<RawValue>> = self.get_json(path, &page_query).await?;
            let shown = &page.items[..page.items.len().min(left)];
            handle(shown)?;
            left -= shown.len();
            let has_more = page.next_cursor.is_some() || shown.len() < page.items.len();
            let Some(cursor) = page.next_cursor.filter(|_| left > 0) else { return Ok(has_more) };
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", cursor));
        }
    }

    async fn send_request(
        &self,
        method: Method,
        path: &[&str],
        query: &Query<'_>,
        body: Option<String>,
    ) -> Result<String, Error> {
        let url = build_url(&self.base, path, query)?;
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let unreachable = |error: reqwest::Error| Error::Unreachable(root_cause(&error));
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        if status.is_success() { Ok(text) } else { Err(Error::Refused(Refusal::new(status, &text))) }
    }
}

/// Appends path segments and query parameters to the URL of the API, escaped as they need.
fn build_url(base: &Url, path: &[&str], query: &Query<'_>) -> Result<Url, Error> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
        Err(()) => return Err(Error::Usage(format!("{base} is not the URL of an API"))),
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

fn to_json(body: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(body).map_err(|error| Error::Usage(error.to_string()))
}

/// Parses JSON of the API.
pub(crate) fn parse_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Unreadable(error.to_string()))
}

/// Returns the innermost cause, because the outer layers only say "error sending request".
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, path: &[&str], query: &Query<'_>) -> Result<String, String> {
        let base = base.parse().expect("a URL");
        build_url(&base, path, query).map(String::from).map_err(|error| error.to_string())
    }

    #[test]
    fn path_and_query_are_escaped() {
        let query = vec![("from", "2026-01-01T00:00:00+01:00".to_owned())];
        let built = url("http://api", &["v1", "a/b", "../c"], &query);
        assert_eq!(built.as_deref(), Ok("http://api/v1/a%2Fb/..%2Fc?from=2026-01-01T00%3A00%3A00%2B01%3A00"));
    }

    #[test]
    fn base_url_may_have_a_path() {
        for base in ["https://example.com/postrider", "https://example.com/postrider/"] {
            assert_eq!(
                url(base, &["v1", "me"], &Query::new()).as_deref(),
                Ok("https://example.com/postrider/v1/me")
            );
        }
        assert_eq!(
            url("mailto:a", &["v1"], &Query::new()),
            Err("mailto:a is not the URL of an API".to_owned())
        );
    }
}
