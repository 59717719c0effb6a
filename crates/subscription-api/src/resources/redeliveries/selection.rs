//! The body of a redelivery: a range of events, or their ids.

use domain::delivery::DeliveryStatus;
use domain::ids::EventId;
use serde_json::value::RawValue;
use store::redelivery::jobs::{self, Selection};

use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Most ids in a request, so that its transaction is short.
pub(crate) const MAX_IDS: usize = 1000;
/// The word that selects every status.
const ALL: &str = "all";

/// The events that a request redelivers.
#[derive(Debug)]
pub(crate) enum RequestedEvents {
    /// The events of a range.
    Range(Selection),
    /// These events, each once.
    Ids(Vec<EventId>),
}

/// The statuses of a range.
struct StatusFilter(Option<DeliveryStatus>);

impl std::str::FromStr for StatusFilter {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word == ALL {
            return Ok(Self(None));
        }
        word.parse()
            .map(|status| Self(Some(status)))
            .map_err(|error: domain::vocabulary::UnknownWord| format!("{error}, {ALL}"))
    }
}

/// Reads the body. The field `ids` excludes the fields of a range.
pub(crate) fn parse_requested(raw: &RawValue, errors: &mut ValidationErrors) -> Option<RequestedEvents> {
    let mut fields = Fields::parse(raw, "", errors)?;
    if fields.has("ids") {
        for field in ["from", "to", "status", "type"] {
            if fields.has(field) {
                fields.add_error("ids", "excludes from, to, status and type");
                break;
            }
        }
        let ids = fields.required("ids", parse_ids);
        for field in ["from", "to", "status", "type"] {
            let _ = fields.optional(field, |_, _, _| Some(()));
        }
        fields.finish();
        return ids.map(RequestedEvents::Ids);
    }
    let from = fields.required("from", validators::bound);
    let to = fields.required("to", validators::bound).map(|to| to.min(jobs::end_of_events()));
    let status = fields.optional("status", validators::parsed_text::<StatusFilter>);
    let pattern = fields.optional("type", validators::parsed_text);
    let range = from.zip(to);
    if range.is_some_and(|(from, to)| from >= to) {
        fields.add_error("from", "must be before to, and not in the future");
    }
    fields.finish();
    let (from, to) = range?;
    // An endpoint must not get delivered events again because somebody left the status out.
    let status = status.map_or(Some(DeliveryStatus::Failed), |StatusFilter(status)| status);
    Some(RequestedEvents::Range(Selection { from, to, status, pattern }))
}

/// Reads ids, each once.
fn parse_ids(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<Vec<EventId>> {
    let values = validators::bounded_list(MAX_IDS)(raw, pointer, errors)?;
    let mut ids = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        ids.push(validators::parsed_text::<EventId>(value, &format!("{pointer}/{at}"), errors));
    }
    let mut ids: Vec<EventId> = ids.into_iter().collect::<Option<_>>()?;
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<RequestedEvents, String> {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        let mut errors = ValidationErrors::default();
        let read = parse_requested(&raw, &mut errors);
        let listed = serde_json::to_string(&errors).expect("errors");
        read.filter(|_| errors.is_empty()).ok_or(listed)
    }

    fn status_of(status: &str) -> Option<DeliveryStatus> {
        let json = format!(r#"{{"from":"2021-04-08T19:00:00Z","to":"2021-04-08T20:00:00Z"{status}}}"#);
        match read(&json) {
            Ok(RequestedEvents::Range(selection)) => selection.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_range_has_the_failed_events_unless_it_says_otherwise() {
        assert_eq!(status_of(""), Some(DeliveryStatus::Failed));
        assert_eq!(status_of(r#","status":"all""#), None);
        for status in DeliveryStatus::ALL {
            assert_eq!(status_of(&format!(r#","status":"{status}""#)), Some(*status));
        }
    }

    #[test]
    fn each_id_counts_once_and_excludes_a_range() {
        let ids = r#"{"ids":["01F2SFVYVD0H873S2VRT8VQSPM","01F2SFVYVD0H873S2VRT8VQSPM"]}"#;
        assert!(matches!(read(ids), Ok(RequestedEvents::Ids(ids)) if ids.len() == 1));
        for bad in [
            r#"{"ids":[]}"#,
            r#"{"ids":["x"]}"#,
            r#"{"ids":"01F2SFVYVD0H873S2VRT8VQSPM"}"#,
            r#"{"ids":["01F2SFVYVD0H873S2VRT8VQSPM"],"status":"failed"}"#,
            r#"{"ids":["01F2SFVYVD0H873S2VRT8VQSPM"],"idss":1}"#,
            r#"{"from":"2021-04-08T19:00:00Z"}"#,
            r#"{"from":"2921-04-08T19:00:00Z","to":"2921-04-08T20:00:00Z"}"#,
            "{}",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let many = vec![r#""01F2SFVYVD0H873S2VRT8VQSPM""#; MAX_IDS + 1].join(",");
        assert!(read(&format!(r#"{{"ids":[{many}]}}"#)).is_err());
    }

    #[test]
    fn an_unknown_status_names_the_known_ones() {
        let bad = read(r#"{"from":"2021-04-08T19:00:00Z","to":"2021-04-08T20:00:00Z","status":"x"}"#);
        let error = bad.expect_err("refused");
        assert!(error.contains("pending, delivered, failed, held, discarded, all"), "{error}");
    }
}
