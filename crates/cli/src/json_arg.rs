//! Arguments that hold JSON, or `@` and the name of a JSON file.

use serde_json::value::RawValue;

use crate::error::Error;

/// Reads an argument, or the file that it names, and keeps the JSON as it was written.
pub(crate) fn read_json_arg(arg: &str) -> Result<Box<RawValue>, Error> {
    match arg.strip_prefix('@') {
        Some(file) => {
            let text =
                std::fs::read_to_string(file).map_err(|error| Error::Usage(format!("{file}: {error}")))?;
            parse_raw(file, &text)
        }
        None => parse_raw(arg, arg),
    }
}

fn parse_raw(name: &str, text: &str) -> Result<Box<RawValue>, Error> {
    serde_json::from_str(text).map_err(|error| Error::Usage(format!("{name} is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arg: &str) -> Result<String, String> {
        read_json_arg(arg).map(|json| json.get().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn json_is_kept_as_it_was_written() {
        let deep = format!("{}1{}", "[".repeat(128), "]".repeat(128));
        for json in [
            r#"{"n":12345678901234567890123,"z":1,"a":1.10}"#,
            r#"{"a" : 1, "a":2}"#,
            "1e400",
            r#""\ud800 \u00e9 é""#,
            &deep,
        ] {
            assert_eq!(read(json).as_deref(), Ok(json));
        }
        assert_eq!(read(" [1, 2]\n").as_deref(), Ok("[1, 2]"), "the space around a value is not part of it");
    }

    #[test]
    fn argument_may_name_a_file() {
        let path = std::env::temp_dir().join(format!("postrider-json-arg-{}", std::process::id()));
        std::fs::write(&path, "[1.10]\n").expect("a file");
        let parsed = read(&format!("@{}", path.display()));
        std::fs::remove_file(&path).expect("the file");
        assert_eq!(parsed.as_deref(), Ok("[1.10]"));
    }

    #[test]
    fn errors_name_the_argument_or_the_file() {
        for arg in ["{", "01", "[1] 2", "nul", "\"\u{1}\"", ""] {
            let error = read(arg).expect_err("an error");
            assert!(error.starts_with(&format!("{arg} is not JSON: ")), "{error}");
        }
        let missing = read("@/no/such/file").expect_err("an error");
        assert!(missing.starts_with("/no/such/file: "), "{missing}");
    }
}
