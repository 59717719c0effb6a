//! Escapes characters that a terminal acts on instead of showing them.
//!
//! Names, descriptions, data and errors come from others. Control characters in them could rewrite other lines, rename
//! the window or write to the clipboard, and bidirectional controls could reorder what people read.

use std::fmt::Write as _;

/// Escapes a text that is printed on one line.
pub(crate) fn escape_text(text: &str) -> String {
    escape_unless(text, |_| false)
}

/// Escapes a text of several lines.
pub(crate) fn escape_lines(text: &str) -> String {
    escape_unless(text, |c| c == '\n')
}

/// Escapes a JSON text without changing its meaning.
///
/// These characters can only be part of strings, where an escape stands for the same character. Line breaks and tabs
/// are the exception: they separate values.
pub(crate) fn escape_json(text: &str) -> String {
    escape_unless(&text.replace('\r', " "), |c| matches!(c, '\n' | '\t'))
}

fn escape_unless(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        if is_active(c) && !is_kept(c) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
        escaped
    })
}

/// Whether a terminal acts on this character: C0 and C1 controls, separators of lines, and bidirectional controls.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_escaped_and_other_characters_stay() {
        for (text, wanted) in [
            ("\u{1b}]0;owned\u{7}\u{1b}[2K", r"\u001b]0;owned\u0007\u001b[2K"),
            ("\u{0}\u{7f}\u{9b}31m", r"\u0000\u007f\u009b31m"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{61c}", r"a\u202eb\u2066c\u200fd\u061c"),
            ("one\ntwo\u{2028}three", r"one\u000atwo\u2028three"),
            ("é \u{5d0} 😀 \u{200d} \\u001b", "é \u{5d0} 😀 \u{200d} \\u001b"),
        ] {
            assert_eq!(escape_text(text), wanted);
        }
        assert_eq!(escape_lines("one\n\u{1b}two"), "one\n\\u001btwo");
    }

    #[test]
    fn escaped_json_has_the_same_meaning() {
        let text = "{\n\t\"a\u{202e}\":\r\"\u{9b}31m \\\\\u{7f} é\"\n}";
        let escaped = escape_json(text);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(parse(&escaped), parse(text));
        assert_eq!(escaped, "{\n\t\"a\\u202e\": \"\\u009b31m \\\\\\u007f é\"\n}");
    }
}
