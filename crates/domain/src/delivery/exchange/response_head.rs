//! Reads the stored lines of a response head.

/// Parses header lines into names and values, in their order.
///
/// A line that begins with a space continues the line before. A line without a colon has an empty name. A value that is
/// not UTF-8 is read as Latin-1, so that none of its bytes is lost. The last character of a block that was cut may be
/// missing.
#[must_use]
pub fn parse_headers(block: &[u8], is_cut: bool) -> Vec<(String, String)> {
    let block = if is_cut { without_partial_character(block) } else { block };
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in block.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        match headers.last_mut() {
            Some((_, value)) if matches!(line[0], b' ' | b'\t') => {
                value.push(' ');
                value.push_str(&text_of(line.trim_ascii()));
            }
            _ => headers.push(split_line(line)),
        }
    }
    headers
}

fn split_line(line: &[u8]) -> (String, String) {
    match line.iter().position(|byte| *byte == b':') {
        Some(colon) => (text_of(line[..colon].trim_ascii()), text_of(line[colon + 1..].trim_ascii())),
        None => (String::new(), text_of(line)),
    }
}

fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Removes the beginning of a character at the end, which would make its whole line Latin-1.
fn without_partial_character(block: &[u8]) -> &[u8] {
    let from = block.len().saturating_sub(3);
    let last_start = (from..block.len()).rev().find(|at| block[*at] >= 0xc0);
    match last_start {
        Some(at) if std::str::from_utf8(&block[at..]).is_err_and(|error| error.error_len().is_none()) => {
            &block[..at]
        }
        _ => block,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(block: &[u8], is_cut: bool) -> Vec<(String, String)> {
        parse_headers(block, is_cut)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn headers_keep_their_order_their_case_and_their_repetitions() {
        let block = b"Date: today\r\nSet-Cookie: a=1\r\nX:\r\nset-cookie :  b=2 \n";
        let expected = pairs(&[("Date", "today"), ("Set-Cookie", "a=1"), ("X", ""), ("set-cookie", "b=2")]);
        assert_eq!(parse(block, false), expected);
    }

    #[test]
    fn odd_lines_are_kept() {
        let block =
            b" first\r\nx: a\r\n\tb\r\n  c\r\nnonsense\r\nname: \xc3\xa4\r\nlatin: \xe4\r\nnul: \0\r\n";
        let expected = pairs(&[
            ("", " first"),
            ("x", "a b c"),
            ("", "nonsense"),
            ("name", "ä"),
            ("latin", "ä"),
            ("nul", "\0"),
        ]);
        assert_eq!(parse(block, false), expected);
    }

    #[test]
    fn a_character_that_was_cut_does_not_change_the_others() {
        assert_eq!(parse("x: äö".as_bytes().split_last().expect("bytes").1, true), pairs(&[("x", "ä")]));
        assert_eq!(parse("x: ä".as_bytes(), true), pairs(&[("x", "ä")]));
        assert_eq!(parse(b"x: \xe4", false), pairs(&[("x", "ä")]));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(bytes: Vec<u8>, is_cut: bool) {
            let headers = parse(&bytes, is_cut);
            let chars: usize = headers.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
            prop_assert!(chars <= bytes.len());
        }
    }
}
