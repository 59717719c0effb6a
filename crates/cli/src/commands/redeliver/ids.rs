//! The ids of events to redeliver: in the argument, in a file, or on the standard input.

use std::fs::File;
use std::io::{Read, stdin};

use domain::ids::EventId;

use crate::error::Error;

/// Maximum number of ids in a request (contract §4).
pub(super) const MAX_IDS: usize = 1000;
/// Bytes of a file that are read: the ids with generous space between them.
const MAX_BYTES: u64 = 256 * 1024;

/// Reads ids, separated by commas or white space. `@FILE` names a file, and `-` the standard input.
pub(super) fn read_ids(arg: &str) -> Result<Vec<String>, Error> {
    let unreadable = |name: &str, error: &std::io::Error| Error::Usage(format!("{name}: {error}"));
    let mut text = String::new();
    match (arg, arg.strip_prefix('@')) {
        ("-", _) => {
            stdin().take(MAX_BYTES).read_to_string(&mut text).map_err(|error| unreadable("-", &error))?;
        }
        (_, Some(name)) => {
            let file = File::open(name).map_err(|error| unreadable(name, &error))?;
            file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| unreadable(name, &error))?;
        }
        _ => arg.clone_into(&mut text),
    }
    parse_ids(&text)
}

/// Splits the text into ids. Several of the same id are one.
fn parse_ids(text: &str) -> Result<Vec<String>, Error> {
    let mut ids: Vec<String> = Vec::new();
    for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
        let id: EventId = word.parse().map_err(|error| Error::Usage(format!("{word}: {error}")))?;
        ids.push(id.to_string());
    }
    ids.sort_unstable();
    ids.dedup();
    match ids.len() {
        0 => Err(Error::Usage("there is no id of an event".to_owned())),
        1..=MAX_IDS => Ok(ids),
        more => {
            Err(Error::Usage(format!("{more} ids are too many; give at most {MAX_IDS}, or a range of time")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";
    const NEXT: &str = "01F2SFVYVD0H873S2VRT8VQSPN";

    #[test]
    fn ids_are_separated_by_commas_or_white_space_and_sent_once() {
        assert_eq!(parse_ids(&format!("{ID},\n {NEXT}\t{ID},")).expect("ids"), [ID, NEXT]);
    }

    #[test]
    fn other_texts_and_too_many_ids_are_refused() {
        for text in ["", " , ", "event", "01F2SFVYVD0H873S2VRT8VQSP"] {
            assert!(parse_ids(text).is_err(), "{text}");
        }
        let many: Vec<String> = (0..=MAX_IDS).map(|n| format!("01F2SFVYVD0H873S2VRT8V{n:04}")).collect();
        let error = parse_ids(&many.join(" ")).expect_err("too many").to_string();
        assert!(error.starts_with("1001 ids are too many"), "{error}");
        assert_eq!(parse_ids(&many[1..].join(" ")).expect("as many as fit").len(), MAX_IDS);
    }
}
