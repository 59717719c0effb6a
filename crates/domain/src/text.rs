//! Truncation of texts to a maximum size.

use std::borrow::Cow;

/// Last character of a truncated text.
const ELLIPSIS: char = '…';

/// Truncates a text to at most `max_bytes` of UTF-8; a truncated text ends with an ellipsis.
#[must_use]
pub fn truncate_text(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let Some(room) = max_bytes.checked_sub(ELLIPSIS.len_utf8()) else {
        return Cow::Borrowed("");
    };
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..text.floor_char_boundary(room)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ellipsis_counts_towards_the_maximum() {
        assert_eq!(truncate_text("abcdef", 6), "abcdef");
        assert_eq!(truncate_text("abcdefg", 6), "abc…");
        assert_eq!(truncate_text("äöüß", 7), "äö…");
        assert_eq!(truncate_text("abcd", 3), "…");
        assert_eq!(truncate_text("abcd", 2), "");
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_its_maximum(text in ".{0,40}", max in 0usize..60) {
            let short = truncate_text(&text, max);
            prop_assert!(short.len() <= max);
            let whole = text.len() <= max;
            prop_assert_eq!(whole, short == text);
            prop_assert!(whole || max < ELLIPSIS.len_utf8() || short.ends_with(ELLIPSIS));
        }
    }
}
