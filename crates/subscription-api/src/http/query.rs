//! Query parameters. An unknown, repeated or invalid parameter is a 400 that names it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::limits::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE};
use url::form_urlencoded;

use crate::http::problem::{Problem, Result};
use crate::validation::errors::{MAX_DETAIL_CHARS, truncate_text};
use crate::validation::fields::truncate_key;

/// Most errors of one query that a response names.
const MAX_ERRORS: usize = 20;

/// The query of a request. Each parameter is taken once.
#[derive(Debug, Default)]
pub struct Query {
    parameters: BTreeMap<String, String>,
    errors: Vec<String>,
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if query.parameters.insert(name.to_string(), value.into_owned()).is_some() {
                query.add_error(&quote_name(&name), "is given more than once");
            }
        }
        query
    }

    /// Takes an optional parameter; an error of `read` is added to the errors of the query.
    pub fn take<T, E: Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Option<T> {
        let text = self.parameters.remove(name)?;
        read(&text).map_err(|error| self.add_error(name, error)).ok()
    }

    /// Takes an optional parameter that parses as `T`, such as an id or a status.
    pub fn take_parsed<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: Display,
    {
        self.take(name, str::parse)
    }

    /// Takes `limit`, the maximum number of items on a page.
    pub fn take_limit(&mut self) -> i64 {
        let read = |text: &str| match text.parse() {
            Ok(limit) if (1..=MAX_PAGE_SIZE).contains(&limit) => Ok(limit),
            _ => Err(format!("must be an integer from 1 to {MAX_PAGE_SIZE}")),
        };
        self.take("limit", read).unwrap_or(DEFAULT_PAGE_SIZE).into()
    }

    /// Adds an error about a parameter.
    pub fn add_error(&mut self, name: &str, detail: impl Display) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(format!("{name} {}", truncate_text(&detail.to_string(), MAX_DETAIL_CHARS)));
        }
    }

    /// Finishes reading: every parameter that was not taken is unknown and thus an error.
    ///
    /// # Errors
    /// A 400 that names every error.
    pub fn finish(mut self) -> Result<()> {
        for name in std::mem::take(&mut self.parameters).keys() {
            self.add_error(&quote_name(name), "is not a parameter of this route");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::bad_request(self.errors.join("; "))) }
    }
}

/// Quotes the beginning of a name, so that an error repeats little of the request.
fn quote_name(name: &str) -> String {
    truncate_key(name).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_must_be_known_and_given_once() {
        let mut query = Query::parse("limit=5&status=active");
        assert_eq!(query.take_limit(), 5);
        assert_eq!(query.take_parsed::<String>("status").as_deref(), Some("active"));
        assert!(query.finish().is_ok());
        assert!(Query::parse("limt=5").finish().is_err());
        let mut twice = Query::parse("limit=5&limit=5");
        twice.take_limit();
        assert!(twice.finish().is_err());
    }

    #[test]
    fn the_limit_has_bounds() {
        for (text, expected) in [("", 100), ("limit=1", 1), ("limit=1000", 1000)] {
            let mut query = Query::parse(text);
            assert_eq!((query.take_limit(), query.finish().is_ok()), (expected, true), "{text}");
        }
        for bad in
            ["limit=0", "limit=1001", "limit=-1", "limit=ten", "limit=", "limit=1.0", "limit=99999999999999"]
        {
            let mut query = Query::parse(bad);
            query.take_limit();
            assert!(query.finish().is_err(), "{bad}");
        }
    }
}
