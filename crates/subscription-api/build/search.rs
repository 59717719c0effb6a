//! The index of the search: for each section its heading, the begin of its text, and the words of the rest.

use std::collections::BTreeSet;

use super::markdown::Rendered;
use super::{Page, Set};

/// Length of the text that a result shows.
const EXCERPT_CHARS: usize = 180;

/// The sections of all pages.
#[derive(Default)]
pub(super) struct Index(Vec<String>);

impl Index {
    /// Adds the sections of a page.
    pub(super) fn add(&mut self, page: &Page, rendered: &Rendered) {
        for heading in &rendered.headings {
            let body = heading.body.split_whitespace().collect::<Vec<_>>().join(" ");
            let (excerpt, rest) = split_excerpt(&body);
            let words = list_words(rest);
            let path = format!("/docs/{}#{}", page.name, heading.anchor);
            let set = if page.set == Set::Operate { "Operate" } else { "" };
            let fields = [
                ("u", path.as_str()),
                ("p", page.title),
                ("s", set),
                ("h", &heading.text),
                ("x", &excerpt),
                ("w", &words),
            ];
            let fields: Vec<String> = fields
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| format!("\"{name}\":{}", quote(value)))
                .collect();
            self.0.push(format!("{{{}}}", fields.join(",")));
        }
    }

    /// Returns the index as a JSON array.
    pub(super) fn into_json(self) -> String {
        format!("[{}]", self.0.join(",\n"))
    }
}

/// Splits a text after a word, and marks that it continues.
fn split_excerpt(body: &str) -> (String, &str) {
    let Some((end, _)) = body.char_indices().nth(EXCERPT_CHARS) else { return (body.to_owned(), "") };
    let end = body[..end].rfind(' ').unwrap_or(end);
    (format!("{} …", &body[..end]), &body[end..])
}

/// Returns each word once, in lower case.
fn list_words(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let words = text.split(|c| !is_word(c)).map(|word| word.trim_matches('.').to_lowercase());
    let unique: BTreeSet<String> = words.filter(|word| word.chars().count() > 2).collect();
    unique.into_iter().collect::<Vec<_>>().join(" ")
}

/// Returns a JSON string.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
