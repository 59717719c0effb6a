//! A JSON text as a list of its values, for schemas.
//!
//! `serde_json::Value` cannot hold every JSON text: it refuses numbers beyond a double, half of a surrogate pair, and 128
//! levels. A [`Document`] holds all of them. It is read, and freed, without recursion, so that its depth needs no stack.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

/// The first half of a surrogate pair.
const HIGH_SURROGATES: Range<u32> = 0xD800..0xDC00;
/// The second half of a surrogate pair.
const LOW_SURROGATES: Range<u32> = 0xDC00..0xE000;
/// The private-use character that stands for the first surrogate without its other half. Each of the 2,048 surrogates has
/// a character of its own, so that lengths and comparisons are right.
const FIRST_LONE_SURROGATE: u32 = 0x0010_F800;

/// A value of a document.
#[derive(Debug)]
pub(super) enum Part<'t> {
    Null,
    Bool(bool),
    /// A number as it is written.
    Number(&'t str),
    Text(Cow<'t, str>),
    /// The place of the items in [`Document::children`].
    Array(Range<usize>),
    /// The place of the members in [`Document::children`], sorted by name. The last of several with one name counts.
    Object(Range<usize>),
}

/// A parsed JSON text. Its values are numbered; the first is the root.
#[derive(Debug, Default)]
pub(super) struct Document<'t> {
    parts: Vec<Part<'t>>,
    /// The name of each value that is a member, and an empty text for the others.
    names: Vec<Cow<'t, str>>,
    /// The children of all values, those of one value in a row.
    children: Vec<u32>,
}

impl<'t> Document<'t> {
    /// Parses a JSON text.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub(super) fn parse(text: &'t str) -> Result<Self, serde_json::Error> {
        // Checked first, so that the reader below may rely on the form. This check has no recursion either.
        serde_json::from_str::<IgnoredAny>(text)?;
        let mut document = Self::default();
        Reader { rest: text.trim_ascii(), document: &mut document, open: Vec::new(), waiting: Vec::new() }
            .read_all();
        Ok(document)
    }

    /// Returns a value; `null` if there is none of this number.
    pub(super) fn part(&self, number: u32) -> &Part<'t> {
        self.parts.get(number as usize).unwrap_or(&Part::Null)
    }

    /// Returns the name of a member.
    pub(super) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", AsRef::as_ref)
    }

    /// Returns the numbers of the values at a place.
    pub(super) fn children(&self, place: &Range<usize>) -> &[u32] {
        self.children.get(place.clone()).unwrap_or_default()
    }

    /// Finds one of the members of an object by its name.
    pub(super) fn find_member(&self, members: &[u32], name: &str) -> Option<u32> {
        let found = members.binary_search_by(|member| self.name(*member).cmp(name)).ok()?;
        members.get(found).copied()
    }

    fn push(&mut self, name: Cow<'t, str>, part: Part<'t>) -> u32 {
        self.parts.push(part);
        self.names.push(name);
        u32::try_from(self.parts.len() - 1).unwrap_or(u32::MAX)
    }
}

/// A container whose end was not read yet.
struct Open {
    number: u32,
    is_object: bool,
    /// The first of its children in [`Reader::waiting`].
    first_child: usize,
}

/// Reads a text that is valid JSON.
struct Reader<'t, 'd> {
    rest: &'t str,
    document: &'d mut Document<'t>,
    open: Vec<Open>,
    /// Children of containers that are open.
    waiting: Vec<u32>,
}

impl<'t> Reader<'t, '_> {
    fn read_all(mut self) {
        while let Some(first) = self.skip_separators() {
            match first {
                b']' | b'}' => {
                    self.rest = &self.rest[1..];
                    self.close();
                }
                _ => self.read_value(),
            }
        }
    }

    /// Skips blanks and separators, whose places the check has verified.
    fn skip_separators(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n', ',', ':']);
        self.rest.bytes().next()
    }

    fn read_value(&mut self) {
        let is_member = self.open.last().is_some_and(|open| open.is_object);
        let name = if is_member { self.read_text() } else { Cow::Borrowed("") };
        let Some(first) = self.skip_separators() else { return };
        let part = match first {
            b'{' | b'[' => {
                self.rest = &self.rest[1..];
                Part::Null
            }
            b'"' => Part::Text(self.read_text()),
            _ => read_word(self.take_word()),
        };
        let number = self.document.push(name, part);
        if !self.open.is_empty() {
            self.waiting.push(number);
        }
        if matches!(first, b'{' | b'[') {
            self.open.push(Open { number, is_object: first == b'{', first_child: self.waiting.len() });
        }
    }

    /// Ends the innermost container.
    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let document = &mut *self.document;
        let mut found = self.waiting.split_off(open.first_child.min(self.waiting.len()));
        if open.is_object {
            // The sort is stable, so that the last of several members with one name comes last.
            found.sort_by(|a, b| document.name(*a).cmp(document.name(*b)));
            found.reverse();
            found.dedup_by(|a, b| document.name(*a) == document.name(*b));
            found.reverse();
        }
        let from = document.children.len();
        document.children.append(&mut found);
        let place = from..document.children.len();
        if let Some(part) = document.parts.get_mut(open.number as usize) {
            *part = if open.is_object { Part::Object(place) } else { Part::Array(place) };
        }
    }

    /// Takes a number, `true`, `false` or `null`.
    fn take_word(&mut self) -> &'t str {
        let ends = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n' | ',' | ']' | '}');
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    /// Takes a string with its quotes.
    fn read_text(&mut self) -> Cow<'t, str> {
        let text = self.rest.strip_prefix('"').unwrap_or(self.rest);
        let end = find_quote(text);
        let (text, rest) = text.split_at(end);
        self.rest = rest.strip_prefix('"').unwrap_or(rest);
        if text.contains('\\') { Cow::Owned(unescape(text)) } else { Cow::Borrowed(text) }
    }
}

fn read_word(word: &str) -> Part<'_> {
    match word {
        "null" => Part::Null,
        "true" => Part::Bool(true),
        "false" => Part::Bool(false),
        number => Part::Number(number),
    }
}

/// Returns the place of the quote that ends a string.
fn find_quote(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(text.len())
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let mut characters = after.chars();
        let escaped = characters.next();
        rest = characters.as_str();
        match escaped {
            Some('u') => plain.push(take_unicode_escape(&mut rest)),
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            other => plain.extend(other),
        }
    }
    plain.push_str(rest);
    plain
}

/// Takes the digits after `\u`, and the second half of a surrogate pair.
fn take_unicode_escape(rest: &mut &str) -> char {
    let unit = take_unit(rest);
    if HIGH_SURROGATES.contains(&unit)
        && let Some(mut after) = rest.strip_prefix("\\u")
    {
        let low = take_unit(&mut after);
        if LOW_SURROGATES.contains(&low) {
            *rest = after;
            let above = (unit - HIGH_SURROGATES.start) * 0x400 + (low - LOW_SURROGATES.start);
            return char::from_u32(0x1_0000 + above).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
    }
    let lone = || char::from_u32(FIRST_LONE_SURROGATE + unit.saturating_sub(HIGH_SURROGATES.start));
    char::from_u32(unit).or_else(lone).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn take_unit(rest: &mut &str) -> u32 {
    let (digits, after) = rest.split_at_checked(4).unwrap_or((rest, ""));
    *rest = after;
    u32::from_str_radix(digits, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Converts a part of a document that `serde_json` can hold.
    fn to_value(document: &Document<'_>, number: u32) -> Value {
        match document.part(number) {
            Part::Null => Value::Null,
            Part::Bool(is_true) => Value::Bool(*is_true),
            Part::Number(text) => serde_json::from_str(text).expect("a number"),
            Part::Text(text) => Value::String(text.to_string()),
            Part::Array(place) => {
                document.children(place).iter().map(|item| to_value(document, *item)).collect()
            }
            Part::Object(place) => {
                let member = |member: &u32| (document.name(*member).to_owned(), to_value(document, *member));
                document.children(place).iter().map(member).collect()
            }
        }
    }

    fn text_of(json: &str) -> String {
        match Document::parse(json).expect("JSON").part(0) {
            Part::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_document_holds_what_serde_holds() {
        for json in [
            "null",
            " true ",
            "[]",
            "{}",
            "-0.5e+3",
            r#""a\"b\\""#,
            r#"{"b":[1,{"c":null},[]],"a":"x","":false}"#,
            r#"{"same":1,"other":2,"same":[3]}"#,
            "[[1 , 2 ]\t,\r\n[3],{}]",
            r#""\u00fc\/\ud83d\ude00\u0000\b\f\n\r\t""#,
        ] {
            let document = Document::parse(json).expect("JSON");
            assert_eq!(to_value(&document, 0), serde_json::from_str::<Value>(json).expect("JSON"), "{json}");
        }
        for bad in ["", "{", "[1,]", "[1 2]", "nul", "{1:2}", "01", r#""\x""#, "\"\u{1}\"", "1 2"] {
            assert!(Document::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_document_holds_what_serde_refuses() {
        assert!(matches!(Document::parse("1e400").expect("JSON").part(0), Part::Number("1e400")));
        assert_eq!(text_of(r#""\ud800""#).chars().collect::<Vec<_>>(), ['\u{10f800}']);
        assert_eq!(text_of(r#""\udfff\ud800\ud83d\ude00x""#), "\u{10ffff}\u{10f800}\u{1f600}x");
        assert_eq!(text_of(r#""\ud800\u0041\ud800""#), "\u{10f800}A\u{10f800}");
        let lone = Document::parse(r#"{"\udead":1,"\ud800":2,"a":3}"#).expect("JSON");
        let Part::Object(place) = lone.part(0) else { panic!("{lone:?}") };
        let members = lone.children(place);
        assert_eq!(members.len(), 3);
        assert!(lone.find_member(members, "a").is_some() && lone.find_member(members, "b").is_none());
    }

    #[test]
    fn a_depth_needs_no_stack() {
        let levels = 500_000;
        let reading = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
            let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            Document::parse(&text).map(|document| document.parts.len())
        });
        assert_eq!(reading.expect("a thread").join().expect("no overflow").ok(), Some(levels));
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_serde_reads_it(text in r#"[\[\]{},:"\\ u0de1a.+-]{0,12}"#, free in ".{0,8}") {
            for json in [text, serde_json::to_string(&free).expect("JSON")] {
                if let Ok(value) = serde_json::from_str::<Value>(&json) {
                    let document = Document::parse(&json).expect("JSON");
                    prop_assert_eq!(to_value(&document, 0), value, "{}", json);
                }
            }
        }
    }
}
