//! JSON for people, with every number and string as it was sent.

/// Indents JSON text without parsing its values, because a parser would turn `1.10` into `1.1`. Text that is
/// not JSON gets odd line breaks, and nothing worse.
pub(super) fn indent_json(text: &str) -> String {
    let mut out = Indented::default();
    let mut rest = text.trim().chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => out.string(&mut rest),
            '{' | '[' => {
                while rest.next_if(|c| c.is_whitespace()).is_some() {}
                // An empty object or array stays on its line.
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(close) => out.text.extend([c, close]),
                    None => out.open(c),
                }
            }
            '}' | ']' => out.close(c),
            ',' => out.line(c),
            ':' => out.text.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.text.push(c),
        }
    }
    out.text
}

#[derive(Default)]
struct Indented {
    text: String,
    depth: usize,
}

impl Indented {
    fn string(&mut self, rest: &mut impl Iterator<Item = char>) {
        self.text.push('"');
        let mut escaped = false;
        for c in rest {
            self.text.push(c);
            match c {
                '"' if !escaped => return,
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
    }

    fn open(&mut self, c: char) {
        self.depth += 1;
        self.line(c);
    }

    fn close(&mut self, c: char) {
        self.depth = self.depth.saturating_sub(1);
        self.new_line();
        self.text.push(c);
    }

    fn line(&mut self, c: char) {
        self.text.push(c);
        self.new_line();
    }

    fn new_line(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }
}

#[cfg(test)]
mod tests {
    use super::indent_json;

    #[test]
    fn values_are_unchanged() {
        let text = r#"{"a":1.10,"b":[12345678901234567890,{}, [ ]],"c":"x{,\"}\\","d":{"e":null}}"#;
        let shown = "{\n  \"a\": 1.10,\n  \"b\": [\n    12345678901234567890,\n    {},\n    []\n  ],\n  \"c\": \"x{,\\\"}\\\\\",\n  \"d\": {\n    \"e\": null\n  }\n}";
        assert_eq!(indent_json(text), shown);
        assert_eq!(indent_json("1.10"), "1.10");
        assert_eq!(indent_json(""), "");
    }
}
