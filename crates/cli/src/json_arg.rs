//! Arguments that hold JSON, or name a file that does.

use serde_json::Value;

use crate::client::parse;
use crate::error::Error;

/// JSON as it was given, or of a file that was named.
pub(crate) fn json_of(given: &str) -> Result<Value, Error> {
    let text = match given.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| Error::Usage(format!("{file}: {error}")))?
        }
        None => given.to_owned(),
    };
    parse(&text).map_err(|_| Error::Usage(format!("{given} is not JSON")))
}
