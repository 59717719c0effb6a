//! Tokens: those of a brand, which support and the brand itself manage, and the named ones of support.

pub(crate) mod of_brand;
pub(crate) mod of_support;
pub(crate) mod own;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::Utc;
use domain::limits::MAX_TEXT_CHARS;
use domain::time::{Timestamp, format_timestamp};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::http::path;
use crate::http::problem::{Problem, Result};
use crate::validation::fields::Fields;
use crate::validation::validators;

/// The path parameter of a token.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; TokenInPath reads the path")]
pub(crate) struct TokenPath {
    /// Id of the token
    #[param(format = Uuid)]
    token_id: String,
}

/// `{tokenId}` of the path. A text that is no id is a 404, because no token can have it.
#[derive(Debug)]
pub(crate) struct TokenInPath(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for TokenInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = path::read_parameter(parts, state, "tokenId").await?;
        Uuid::try_parse(&text).map(Self).map_err(|_| token_not_found())
    }
}

fn token_not_found() -> Problem {
    Problem::not_found("there is no such token")
}

/// Reads the name of a token, which lists and the audit show on one line.
fn read_name(fields: &mut Fields<'_, '_>) -> Option<String> {
    let name = fields.required("name", validators::nonempty_text(MAX_TEXT_CHARS))?;
    if name.chars().any(char::is_control) {
        fields.add_error("name", "must not contain line breaks or other control characters");
        return None;
    }
    Some(name)
}

/// Reads the end of a new token. `own_end` is the end of the token of the request, which creates no other that outlives it.
fn read_expiry(fields: &mut Fields<'_, '_>, own_end: Option<Timestamp>) -> Option<Timestamp> {
    let is_given = fields.has("expires");
    let expires = fields.optional("expires", validators::bound);
    if expires.is_some_and(|expires| expires <= Utc::now()) {
        fields.add_error("expires", "must be in the future");
    }
    let outlives = |end: &Timestamp| expires.map_or(!is_given, |expires| expires > *end);
    if let Some(end) = own_end.filter(outlives) {
        let end = format_timestamp(end);
        fields.add_error(
            "expires",
            &format!("must be {end} or earlier, when the token of this request expires"),
        );
    }
    expires
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::validation::errors::ValidationErrors;

    #[test]
    fn a_token_does_not_outlive_the_one_that_creates_it() {
        let own_end = Utc::now() + TimeDelta::days(30);
        let day = |days| json!({"expires": format_timestamp(Utc::now() + TimeDelta::days(days))});
        let count_errors = |body: serde_json::Value, own_end| {
            let raw = to_raw_value(&body).expect("JSON");
            let mut errors = ValidationErrors::default();
            let mut fields = Fields::parse(&raw, "", &mut errors).expect("an object");
            read_expiry(&mut fields, own_end);
            fields.finish();
            serde_json::to_value(&errors).expect("errors").as_array().expect("a list").len()
        };
        for (body, without_end, with_end) in [
            (json!({}), 0, 1),
            (day(29), 0, 0),
            (day(31), 0, 1),
            (day(-1), 1, 1),
            (json!({"expires": "soon"}), 1, 1),
            (json!({"expires": format_timestamp(own_end)}), 0, 0),
        ] {
            assert_eq!(count_errors(body.clone(), None), without_end, "{body}");
            assert_eq!(count_errors(body.clone(), Some(own_end)), with_end, "{body}");
        }
    }
}
