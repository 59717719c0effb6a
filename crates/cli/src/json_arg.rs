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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn argument_is_json_or_names_a_file() {
        assert_eq!(parse_json_arg(r#"{"a":[1,null]}"#).ok(), Some(json!({"a": [1, null]})));
        let path = std::env::temp_dir().join(format!("postrider-json-arg-{}", std::process::id()));
        std::fs::write(&path, "[true]").expect("a file");
        let parsed = parse_json_arg(&format!("@{}", path.display()));
        std::fs::remove_file(&path).expect("the file");
        assert_eq!(parsed.ok(), Some(json!([true])));
    }

    #[test]
    fn errors_name_the_argument_or_the_file() {
        let error = |arg| parse_json_arg(arg).expect_err("an error").to_string();
        assert_eq!(error("{"), "{ is not JSON");
        assert!(error("@/no/such/file").starts_with("/no/such/file: "), "{}", error("@/no/such/file"));
    }
}
