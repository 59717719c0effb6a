//! Spreads JSON over lines without changing a token.

use std::fmt::Write as _;

/// Indentation of a level.
const INDENT: &str = "  ";
/// Levels that are indented. Deeper values stay on one line, so that a deeply nested text does not grow.
const MAX_LEVELS: usize = 32;

/// Puts each member and each item on a line of its own. Numbers, strings and the order of keys stay as they are.
///
/// The text must be JSON.
pub(crate) fn spread_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut level: usize = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => copy_string(&mut chars, &mut out),
            '{' | '[' => {
                out.push(c);
                level += 1;
                while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => {
                        out.push(end);
                        level = level.saturating_sub(1);
                    }
                    None => break_line(&mut out, level),
                }
            }
            '}' | ']' => {
                level = level.saturating_sub(1);
                // The items of a level that is not indented have no line of their own.
                if level < MAX_LEVELS {
                    break_line(&mut out, level);
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, level);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Copies the rest of a string, whose opening quote was read.
fn copy_string(chars: &mut impl Iterator<Item = char>, out: &mut String) {
    out.push('"');
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '\\' => out.extend(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

fn break_line(out: &mut String, level: usize) {
    if level <= MAX_LEVELS {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n{}", INDENT.repeat(level));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_items_get_lines_and_tokens_stay() {
        let text = r#"{"n":12345678901234567890123, "z":[1.10,1e400,{}],"a":{"b\"{,":"\ud800"},"e":[ ]}"#;
        let wanted = "{\n  \"n\": 12345678901234567890123,\n  \"z\": [\n    1.10,\n    1e400,\n    {}\n  ],\
                      \n  \"a\": {\n    \"b\\\"{,\": \"\\ud800\"\n  },\n  \"e\": []\n}";
        assert_eq!(spread_json(text), wanted);
        for text in ["1.10", r#""a, b: {}""#, "null", "[]"] {
            assert_eq!(spread_json(text), text);
        }
    }

    #[test]
    fn deep_text_grows_by_a_bounded_number_of_spaces() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let spread = spread_json(&deep);
        let tokens: String = spread.chars().filter(|c| !c.is_whitespace()).collect();
        assert_eq!(tokens, deep);
        assert!(spread.len() < deep.len() + 10 * MAX_LEVELS * MAX_LEVELS, "{}", spread.len());
    }
}
