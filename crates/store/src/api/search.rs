//! Searching brands, webhooks, event types and events by a text.

use domain::ids::{BrandId, EventId, WebhookId};
use domain::webhook::WebhookStatus;
use tokio_postgres::Row;
use uuid::Uuid;

use super::event_lookup::{EventRecord, FoundEvent, read_listed};
use crate::db::Executor;
use crate::error::StoreError;
use crate::rows::{read, read_word};

/// Brands whose events with one key are looked at.
const MAX_BRANDS_OF_KEY: i32 = 20;

/// A brand that was found.
#[derive(Debug, Clone)]
pub struct FoundBrand {
    /// Its id.
    pub id: BrandId,
    /// Its name.
    pub name: String,
}

/// A webhook that was found.
#[derive(Debug, Clone)]
pub struct FoundWebhook {
    /// Its id.
    pub id: WebhookId,
    /// The brand that it belongs to.
    pub brand_id: BrandId,
    /// The URL of its endpoint.
    pub endpoint: String,
    /// Its description.
    pub description: Option<String>,
    /// Its status.
    pub status: WebhookStatus,
}

/// An event type that was found.
#[derive(Debug, Clone)]
pub struct FoundType {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
}

/// Returns the pattern of LIKE for texts that contain `text`.
fn to_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "%"
}

/// Finds brands by a part of their id or name.
///
/// # Errors
/// When the database fails.
pub async fn find_brands(db: &impl Executor, text: &str, limit: i64) -> Result<Vec<FoundBrand>, StoreError> {
    let rows = db.query_rows(sql!("search/brands"), &[&text, &to_pattern(text), &limit]).await?;
    let brand = |row: &Row| Ok(FoundBrand { id: read_word(row, "brand_id")?, name: read(row, "name")? });
    rows.iter().map(brand).collect()
}

/// Finds webhooks by their id, or by a part of their endpoint or description, of one brand or of all.
///
/// # Errors
/// When the database fails.
pub async fn find_webhooks(
    db: &impl Executor,
    brand: Option<&BrandId>,
    text: &str,
    limit: i64,
) -> Result<Vec<FoundWebhook>, StoreError> {
    let id: Option<Uuid> = text.parse::<WebhookId>().ok().map(|id| id.0);
    let brand = brand.map(BrandId::as_str);
    let rows = db.query_rows(sql!("search/webhooks"), &[&id, &to_pattern(text), &brand, &limit]).await?;
    let webhook = |row: &Row| {
        Ok(FoundWebhook {
            id: WebhookId(read(row, "id")?),
            brand_id: read_word(row, "brand_id")?,
            endpoint: read(row, "endpoint")?,
            description: read(row, "description")?,
            status: read_word(row, "status")?,
        })
    };
    rows.iter().map(webhook).collect()
}

/// Finds event types by a part of their name or description.
///
/// # Errors
/// When the database fails.
pub async fn find_event_types(
    db: &impl Executor,
    text: &str,
    limit: i64,
) -> Result<Vec<FoundType>, StoreError> {
    let rows = db.query_rows(sql!("search/event_types"), &[&to_pattern(text), &limit]).await?;
    let found =
        |row: &Row| Ok(FoundType { name: read(row, "name")?, description: read(row, "description")? });
    rows.iter().map(found).collect()
}

/// Finds the newest events of all brands with this key, at most `limit` of each brand.
///
/// # Errors
/// When the database fails.
pub async fn find_events_by_key(
    db: &impl Executor,
    key: &str,
    limit: i64,
) -> Result<Vec<FoundEvent>, StoreError> {
    let rows = db.query_rows(sql!("search/events_by_key"), &[&key, &limit, &MAX_BRANDS_OF_KEY]).await?;
    let found = |row: &Row| {
        Ok(FoundEvent {
            brand_id: read_word(row, "brand_id")?,
            id: EventId::from_uuid(read(row, "id")?),
            created: read(row, "created")?,
            stored: read(row, "stored")?,
        })
    };
    rows.iter().map(found).collect()
}

/// Loads events for a list, in the order of `found`. An event that has expired is left out.
///
/// # Errors
/// When the database fails.
pub async fn load_events(db: &impl Executor, found: &[FoundEvent]) -> Result<Vec<EventRecord>, StoreError> {
    let brands: Vec<&str> = found.iter().map(|event| event.brand_id.as_str()).collect();
    let ids: Vec<Uuid> = found.iter().map(|event| event.id.to_uuid()).collect();
    let created: Vec<_> = found.iter().map(|event| event.created).collect();
    let stored: Vec<bool> = found.iter().map(|event| event.stored).collect();
    let rows = db.query_rows(sql!("search/events"), &[&brands, &ids, &created, &stored]).await?;
    let record =
        |row: &Row| read_listed(row, read_word(row, "brand_id")?, EventId::from_uuid(read(row, "event_id")?));
    rows.iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_the_text_are_no_wildcards() {
        assert_eq!(to_pattern("a_b%c\\"), "%a\\_b\\%c\\\\%");
    }
}
