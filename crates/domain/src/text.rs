//! Texts with a bound.

use std::borrow::Cow;

/// Ends a text that was shortened.
const MARK: char = '…';

/// Shortens a text to at most `max_bytes` of UTF-8, of which the last are an ellipsis if anything is missing.
#[must_use]
pub fn shortened(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let Some(room) = max_bytes.checked_sub(MARK.len_utf8()) else {
        return Cow::Borrowed("");
    };
    Cow::Owned(format!("{}{MARK}", &text[..text.floor_char_boundary(room)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_mark_counts() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abc…");
        assert_eq!(shortened("äöüß", 7), "äö…");
        assert_eq!(shortened("abcd", 3), "…");
        assert_eq!(shortened("abcd", 2), "");
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_its_bound(text in ".{0,40}", max in 0usize..60) {
            let short = shortened(&text, max);
            prop_assert!(short.len() <= max);
            let whole = text.len() <= max;
            prop_assert_eq!(whole, short == text);
            prop_assert!(whole || max < MARK.len_utf8() || short.ends_with(MARK));
        }
    }
}
