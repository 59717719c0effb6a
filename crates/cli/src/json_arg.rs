//! Arguments that hold JSON, or `@` and the name of a JSON file.

use serde_json::Value;

use crate::client::parse_json;
use crate::error::Error;

/// Parses an argument, or the file that it names, as JSON.
pub(crate) fn parse_json_arg(arg: &str) -> Result<Value, Error> {
    let text = match arg.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| Error::Usage(format!("{file}: {error}")))?
        }
        None => arg.to_owned(),
    };
    parse_json(&text).map_err(|_| Error::Usage(format!("{arg} is not JSON")))
}
