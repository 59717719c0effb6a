//! Query parameters: known ones, once each; anything else is a 400 that says what is wrong.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, TimeDelta};
use domain::limits::{PAGE_DEFAULT, PAGE_MAX};
use domain::time::Timestamp;
use url::form_urlencoded;

use crate::http::problem::{Problem, Result};
use crate::validation::errors::{self, MAX_DETAIL_CHARS};
use crate::validation::fields;

/// Most errors that are told of one query.
const MAX_ERRORS: usize = 20;

/// The query of a request, taken apart parameter by parameter.
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

    /// Takes a parameter that may be left out; `read` says what is wrong with it.
    pub fn take<T, E: Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Option<T> {
        let text = self.parameters.remove(name)?;
        read(&text).map_err(|error| self.add_error(name, error)).ok()
    }

    /// Takes a parameter that is one of our words or ids.
    pub fn take_parsed<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: Display,
    {
        self.take(name, str::parse)
    }

    /// Takes `limit`: how many items a page has.
    pub fn take_limit(&mut self) -> i64 {
        let read = |text: &str| match text.parse() {
            Ok(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
            _ => Err(format!("must be an integer from 1 to {PAGE_MAX}")),
        };
        self.take("limit", read).unwrap_or(PAGE_DEFAULT).into()
    }

    /// Notes what is wrong with a parameter.
    pub fn add_error(&mut self, name: &str, detail: impl Display) {
        if self.errors.len() < MAX_ERRORS {
            self.errors
                .push(format!("{name} {}", errors::truncate_text(&detail.to_string(), MAX_DETAIL_CHARS)));
        }
    }

    /// Ends the reading: what is left is unknown.
    ///
    /// # Errors
    /// A 400 that names everything that is wrong.
    pub fn finish(mut self) -> Result<()> {
        for name in std::mem::take(&mut self.parameters).keys() {
            self.add_error(&quote_name(name), "is no parameter of this list");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::bad_request(self.errors.join("; "))) }
    }
}

/// A parameter's name as a fault repeats it.
fn quote_name(name: &str) -> String {
    fields::truncate_key(name).escape_debug().to_string()
}

/// Reads an instant, up to the next whole millisecond: what is stored has whole ones, so a bound
/// between two of them means the later one. A `+` of an offset that came as a space is taken.
///
/// # Errors
/// When it is not RFC 3339.
pub fn instant(text: &str) -> std::result::Result<Timestamp, &'static str> {
    let mended = match text.rsplit_once(' ') {
        Some((time, offset)) if offset.len() == "00:00".len() && time.contains(['T', 't']) => {
            format!("{time}+{offset}")
        }
        _ => text.to_owned(),
    };
    let whole = domain::time::parse(&mended);
    let exact = DateTime::parse_from_rfc3339(&mended).ok();
    let (Some(whole), Some(exact)) = (whole.filter(|at| within_four_digit_years(*at)), exact) else {
        return Err("must be an RFC 3339 date and time, such as 2021-04-08T19:36:02.938Z");
    };
    Ok(if exact > whole { whole + TimeDelta::milliseconds(1) } else { whole })
}

/// Beyond these, PostgreSQL and RFC 3339 no longer agree on how to write an instant.
fn within_four_digit_years(at: Timestamp) -> bool {
    use chrono::Datelike;
    (1..=9998).contains(&at.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_known_and_given_once() {
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
    fn limits_have_bounds() {
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

    #[test]
    fn instants_round_up_to_what_is_stored() {
        let read = |text| instant(text).map(domain::time::format);
        assert_eq!(read("2021-04-08T19:36:02.938Z").as_deref(), Ok("2021-04-08T19:36:02.938Z"));
        assert_eq!(read("2021-04-08T19:36:02.9380001Z").as_deref(), Ok("2021-04-08T19:36:02.939Z"));
        assert_eq!(read("2021-04-08T21:36:02+02:00").as_deref(), Ok("2021-04-08T19:36:02.000Z"));
        assert_eq!(read("2021-04-08T21:36:02 02:00").as_deref(), Ok("2021-04-08T19:36:02.000Z"));
        for bad in
            ["", "2021-04-08", "yesterday", "1617910562", "2021-13-01T00:00:00Z", "0000-01-01T00:00:00Z"]
        {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
