//! Checking data against enforced schemas, on threads that serve no requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::event::event_type::EventType;
use domain::event::schema::DataSchema;
use domain::ids::BrandId;
use store::routing::publishing;
use store::{Store, StoreError};

use crate::keyed_permits::KeyedPermits;
use crate::telemetry;
use crate::validation::errors::ValidationErrors;

/// Most requests of one brand whose data is checked at the same time. One keeps a processor free on the smallest machine,
/// and a check takes milliseconds.
const MAX_CHECKS_PER_BRAND: usize = 1;
/// Most events of one request whose violations are reported, because each costs a second evaluation.
const MAX_REPORTED_EVENTS: usize = 20;
/// Size of the schemas that are kept compiled. Thousands of usual schemas fit, and some of the largest.
const MAX_CACHED_BYTES: usize = 4 * 1024 * 1024;

/// The data of an event whose type has an enforced schema.
#[derive(Debug)]
pub(super) struct DataToCheck {
    /// The pointer to the event.
    pub(super) pointer: String,
    /// The type of the event.
    pub(super) event_type: EventType,
    /// The version of the schema, at least.
    pub(super) version: i64,
    /// The data.
    pub(super) data: String,
}

/// The data was not checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckFailed {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The checks of other requests of the brand took too long.
    #[error("too many checks of the brand at the same time")]
    Busy,
}

/// Checks data against the schemas of the catalogue.
#[derive(Debug)]
pub(super) struct SchemaChecker {
    compiled: Mutex<SchemaCache>,
    permits: KeyedPermits<BrandId>,
}

impl Default for SchemaChecker {
    fn default() -> Self {
        Self { compiled: Mutex::default(), permits: KeyedPermits::new(MAX_CHECKS_PER_BRAND) }
    }
}

impl SchemaChecker {
    /// Checks the data of a request's events and returns the violations.
    ///
    /// # Errors
    /// When the database fails, or the brand has too many checks already.
    pub(super) async fn check(
        &self,
        store: &Store,
        brand: &BrandId,
        data: Vec<DataToCheck>,
    ) -> Result<ValidationErrors, CheckFailed> {
        let permit = self.permits.acquire(brand).await.ok_or(CheckFailed::Busy)?;
        let mut schemas = HashMap::new();
        for wanted in &data {
            if !schemas.contains_key(&wanted.event_type) {
                let schema = self.find_schema(store, &wanted.event_type, wanted.version).await?;
                schemas.insert(wanted.event_type.clone(), schema);
            }
        }
        // The permit moves into the closure, because the thread goes on when the request is cancelled.
        let checking = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            find_violations(&data, &schemas)
        });
        // The task is not cancelled. It panics only if the evaluation does, which is then a panic of the request.
        checking.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => CheckFailed::Busy,
        })
    }

    /// Finds a compiled schema of this version or a later one, or compiles it. `None` when none is enforced now.
    async fn find_schema(
        &self,
        store: &Store,
        event_type: &EventType,
        version: i64,
    ) -> Result<Option<Arc<DataSchema>>, CheckFailed> {
        if let Some(cached) = lock(&self.compiled).get(event_type, version) {
            return Ok(cached);
        }
        let Some((version, text)) = publishing::load_enforced_schema(store, event_type.as_str()).await?
        else {
            return Ok(None);
        };
        let bytes = text.len();
        let name = event_type.clone();
        let compiling = tokio::task::spawn_blocking(move || {
            // A schema that cannot be compiled stops no events, as in the router.
            DataSchema::parse_stored(&text)
                .map_err(|error| telemetry::log_unreadable_schema(&name, &error))
                .ok()
                .map(Arc::new)
        });
        let schema = compiling.await.map_err(|_| CheckFailed::Busy)?;
        lock(&self.compiled)
            .insert(event_type.clone(), CachedSchema { version, schema: schema.clone(), bytes });
        Ok(schema)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use, because the cache is filled again.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find_violations(
    data: &[DataToCheck],
    schemas: &HashMap<EventType, Option<Arc<DataSchema>>>,
) -> ValidationErrors {
    let mut errors = ValidationErrors::default();
    for DataToCheck { pointer, event_type, data, .. } in data {
        if errors.len() >= MAX_REPORTED_EVENTS {
            break;
        }
        let Some(schema) = schemas.get(event_type).and_then(Option::as_ref) else { continue };
        if let Err(violation) = schema.check(data) {
            let (place, detail) = split_violation(&violation.to_string());
            errors.add(
                format!("{pointer}/data{place}"),
                format!("violates the schema of {event_type}: {detail}"),
            );
        }
    }
    errors
}

/// Splits the text of a violation into the pointer to the invalid value, which is empty for the whole, and the reason.
fn split_violation(text: &str) -> (String, String) {
    match text.split_once(": ") {
        Some((place, reason)) if place.starts_with('/') => (place.to_owned(), reason.to_owned()),
        Some(("the whole", reason)) => (String::new(), reason.to_owned()),
        _ => (String::new(), text.to_owned()),
    }
}

/// Compiled schemas within [`MAX_CACHED_BYTES`].
#[derive(Debug, Default)]
struct SchemaCache {
    schemas: HashMap<EventType, (CachedSchema, u64)>,
    bytes: usize,
    /// Number of look-ups, as the time of last use.
    clock: u64,
}

#[derive(Debug)]
struct CachedSchema {
    version: i64,
    /// `None` when the schema cannot be compiled.
    schema: Option<Arc<DataSchema>>,
    /// Size of its text.
    bytes: usize,
}

impl SchemaCache {
    fn get(&mut self, event_type: &EventType, version: i64) -> Option<Option<Arc<DataSchema>>> {
        self.clock += 1;
        let (cached, used) = self.schemas.get_mut(event_type)?;
        *used = self.clock;
        (cached.version >= version).then(|| cached.schema.clone())
    }

    fn insert(&mut self, event_type: EventType, schema: CachedSchema) {
        self.remove(&event_type);
        while self.bytes + schema.bytes > MAX_CACHED_BYTES && !self.schemas.is_empty() {
            let oldest = self.schemas.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone());
            oldest.iter().for_each(|name| self.remove(name));
        }
        self.bytes += schema.bytes;
        self.schemas.insert(event_type, (schema, self.clock));
    }

    fn remove(&mut self, event_type: &EventType) {
        if let Some((removed, _)) = self.schemas.remove(event_type) {
            self.bytes -= removed.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_type(name: &str) -> EventType {
        name.parse().expect("a type")
    }

    fn cached(version: i64, bytes: usize) -> CachedSchema {
        CachedSchema { version, schema: None, bytes }
    }

    #[test]
    fn a_schema_of_an_older_version_is_not_used() {
        let mut cache = SchemaCache::default();
        cache.insert(event_type("A"), cached(5, 10));
        assert!(cache.get(&event_type("A"), 5).is_some() && cache.get(&event_type("A"), 4).is_some());
        assert!(cache.get(&event_type("A"), 6).is_none() && cache.get(&event_type("B"), 1).is_none());
        cache.insert(event_type("A"), cached(6, 20));
        assert_eq!(cache.bytes, 20);
    }

    #[test]
    fn the_schema_that_was_unused_for_longest_makes_room() {
        let mut cache = SchemaCache::default();
        let third = MAX_CACHED_BYTES / 3;
        for name in ["A", "B", "C"] {
            cache.insert(event_type(name), cached(1, third));
            assert!(cache.get(&event_type(name), 1).is_some());
        }
        assert!(cache.get(&event_type("A"), 1).is_some());
        cache.insert(event_type("D"), cached(1, third));
        let kept = ["A", "B", "C", "D"].map(|name| cache.get(&event_type(name), 1).is_some());
        assert_eq!(kept, [true, false, true, true]);
        assert!(cache.bytes <= MAX_CACHED_BYTES);
    }

    #[test]
    fn violations_name_the_event_and_the_place() {
        let schema = r#"{"properties":{"a":{"type":"object","properties":{"b":{"type":"number"}}}}}"#;
        let schema = DataSchema::parse(schema).expect("a schema");
        let schemas = HashMap::from([(event_type("A"), Some(Arc::new(schema))), (event_type("B"), None)]);
        let data = |number: usize, name: &str, data: &str| DataToCheck {
            pointer: format!("/events/{number}"),
            event_type: event_type(name),
            version: 1,
            data: data.to_owned(),
        };
        let checked = find_violations(
            &[
                data(0, "A", r#"{"a":{"b":1}}"#),
                data(1, "A", r#"{"a":{"b":"x"}}"#),
                data(2, "B", "1"),
                data(3, "A", r#"{"a":1}"#),
            ],
            &schemas,
        );
        let errors = serde_json::to_value(&checked).expect("errors");
        let pointers: Vec<_> =
            errors.as_array().expect("a list").iter().map(|error| &error["pointer"]).collect();
        assert_eq!(pointers, ["/events/1/data/a/b", "/events/3/data/a"]);
        let many: Vec<_> = (0..500).map(|number| data(number, "A", r#"{"a":1}"#)).collect();
        assert_eq!(find_violations(&many, &schemas).len(), MAX_REPORTED_EVENTS);
    }

    #[test]
    fn a_violation_of_the_whole_has_an_empty_place() {
        assert_eq!(split_violation("the whole: no"), (String::new(), "no".to_owned()));
        assert_eq!(split_violation("/a/b: no: never"), ("/a/b".to_owned(), "no: never".to_owned()));
        assert_eq!(split_violation("too deep"), (String::new(), "too deep".to_owned()));
    }
}
