//! Webhooks on the command line: an id, the beginning of an id, or a description.

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::session::Session;

/// Webhooks among which one is looked for.
const MAX_SEARCHED: usize = 10_000;
/// Webhooks that the message about several matches names.
const MAX_NAMED: usize = 10;
/// Shortest beginning of an id, so that a typing error does not hit another webhook.
const MIN_PREFIX_CHARS: usize = 4;

/// A webhook of a brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookRef {
    pub(crate) brand: String,
    pub(crate) id: String,
}

impl WebhookRef {
    /// Returns the path of the webhook, or of a part of it.
    pub(crate) fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&["v1", &self.brand, "webhooks", &self.id], rest].concat()
    }
}

/// A webhook as far as people name it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    id: String,
    brand_id: String,
    endpoint: String,
    description: Option<String>,
}

impl Candidate {
    fn into_ref(self) -> WebhookRef {
        WebhookRef { brand: self.brand_id, id: self.id }
    }

    fn is_described_as(&self, text: &str) -> bool {
        self.description.as_ref().is_some_and(|own| own.trim().to_lowercase() == text.to_lowercase())
    }
}

/// Finds the webhook that an argument names. Without a brand, support's token reaches the webhooks of all brands.
pub(crate) async fn find_webhook(session: &Session, text: &str) -> Result<WebhookRef, Error> {
    let text = text.trim();
    let brand = session.optional_brand().await?;
    if let (Some(brand), true) = (&brand, is_whole_id(text)) {
        return Ok(WebhookRef { brand: brand.clone(), id: text.to_owned() });
    }
    let path = match &brand {
        Some(brand) => ["v1", brand.as_str(), "webhooks"],
        None => ["admin", "v1", "webhooks"],
    };
    let items = session.client.list_items(&path, Query::new(), MAX_SEARCHED).await?;
    let is_complete = items.len() < MAX_SEARCHED;
    choose(parse_candidates(&items)?, text, brand.as_deref(), is_complete)
}

/// Returns the id of a webhook for routes that need no brand.
pub(crate) async fn find_webhook_id(session: &Session, text: &str) -> Result<String, Error> {
    if is_whole_id(text.trim()) {
        return Ok(text.trim().to_owned());
    }
    Ok(find_webhook(session, text).await?.id)
}

fn parse_candidates(items: &[Box<RawValue>]) -> Result<Vec<Candidate>, Error> {
    items.iter().map(|item| parse_json(item.get())).collect()
}

fn is_whole_id(text: &str) -> bool {
    text.len() == 36 && text.parse::<Uuid>().is_ok()
}

fn is_prefix(text: &str) -> bool {
    text.len() >= MIN_PREFIX_CHARS && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Chooses the only webhook with this id, this beginning of an id or this description.
fn choose(
    all: Vec<Candidate>,
    text: &str,
    brand: Option<&str>,
    is_complete: bool,
) -> Result<WebhookRef, Error> {
    let prefix = text.to_ascii_lowercase();
    let by_id = |candidate: &Candidate| is_prefix(text) && candidate.id.starts_with(&prefix);
    let mut matches: Vec<Candidate> =
        all.into_iter().filter(|candidate| by_id(candidate) || candidate.is_described_as(text)).collect();
    if !is_complete && !is_whole_id(text) {
        let message = format!("there are more than {MAX_SEARCHED} webhooks; give the whole id or --brand");
        return Err(Error::Usage(message));
    }
    match matches.len() {
        1 => Ok(matches.remove(0).into_ref()),
        0 => {
            let owner = brand.map_or_else(|| "any brand".to_owned(), |brand| format!("the brand {brand}"));
            Err(Error::Usage(format!(
                "there is no webhook of {owner} with this id, beginning of an id (at least {MIN_PREFIX_CHARS} \
                 characters) or description: {text}"
            )))
        }
        _ => Err(Error::Usage(describe_several(&matches, text))),
    }
}

/// Names the webhooks that an ambiguous argument matches.
fn describe_several(matches: &[Candidate], text: &str) -> String {
    let line = |candidate: &Candidate| {
        let name = candidate.description.as_ref().unwrap_or(&candidate.endpoint);
        format!("\n  {}  {}  {name}", candidate.id, candidate.brand_id)
    };
    let named: String = matches.iter().take(MAX_NAMED).map(line).collect();
    let more = matches.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!("{} webhooks match {text}; give more of the id:{named}{more}", matches.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates() -> Vec<Candidate> {
        let candidate = |id: &str, description: Option<&str>| Candidate {
            id: id.to_owned(),
            brand_id: "acme".to_owned(),
            endpoint: "https://example.com/".to_owned(),
            description: description.map(str::to_owned),
        };
        vec![
            candidate("9e21c694-ee9e-48a7-b016-522fd8ef08c1", Some("Billing")),
            candidate("9e21aaaa-ee9e-48a7-b016-522fd8ef08c1", Some("Shop")),
            candidate("7f000000-ee9e-48a7-b016-522fd8ef08c1", Some("shop")),
            candidate("beef0000-ee9e-48a7-b016-522fd8ef08c1", None),
        ]
    }

    fn chosen(text: &str) -> Result<String, String> {
        choose(candidates(), text, Some("acme"), true)
            .map(|webhook| webhook.id[..8].to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn webhook_is_named_by_the_beginning_of_its_id_or_by_its_description() {
        assert_eq!(chosen("9e21c").as_deref(), Ok("9e21c694"));
        assert_eq!(chosen("BEEF").as_deref(), Ok("beef0000"));
        assert_eq!(chosen("billing").as_deref(), Ok("9e21c694"));
        assert_eq!(chosen("9e21c694-ee9e-48a7-b016-522fd8ef08c1").as_deref(), Ok("9e21c694"));
    }

    #[test]
    fn ambiguous_and_unknown_names_are_explained() {
        let error = chosen("9e21").expect_err("two webhooks");
        assert!(error.starts_with("2 webhooks match 9e21") && error.contains("\n  9e21aaaa"), "{error}");
        assert!(chosen("shop").is_err(), "two descriptions differ only in case");
        for text in ["9e2", "unknown", "", "example.com"] {
            let error = chosen(text).expect_err(text);
            assert!(error.starts_with("there is no webhook of the brand acme"), "{error}");
        }
        let error = choose(candidates(), "billing", None, false).expect_err("more are unseen");
        assert!(error.to_string().contains("--brand"), "{error}");
    }
}
