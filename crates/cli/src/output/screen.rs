//! The terminal that reads the standard output, if there is one.

use std::io::{IsTerminal, stdout};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Ends a text that does not fit.
const ELLIPSIS: char = '…';

/// The properties of the standard output that decide about its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Number of columns of the terminal. `None` for a file or a pipe, where nothing is cut.
    pub(crate) width: Option<usize>,
    /// Whether colour is wanted.
    pub(crate) color: bool,
}

impl Screen {
    /// A file or a pipe.
    pub(crate) const PIPE: Self = Self { width: None, color: false };

    /// Looks at the standard output and the environment.
    pub(crate) fn detect() -> Self {
        if !stdout().is_terminal() {
            return Self::PIPE;
        }
        let columns = rustix::termios::tcgetwinsize(stdout()).map_or(0, |size| usize::from(size.ws_col));
        let refused = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { width: (columns > 0).then_some(columns), color: !refused("NO_COLOR") && !dumb }
    }

    /// Colours a text, if colour is wanted.
    pub(crate) fn paint(self, text: &str, color: Color) -> String {
        match color.code().filter(|_| self.color && !text.is_empty()) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }

    /// Cuts a text to the width of the terminal.
    pub(crate) fn fit(self, text: &str) -> String {
        self.width.map_or_else(|| text.to_owned(), |width| cut(text, width))
    }
}

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// Not coloured.
    Plain,
    /// A heading.
    Heading,
    /// As it should be.
    Good,
    /// Waiting for somebody or something.
    Warning,
    /// Failed, or about to fail.
    Bad,
}

impl Color {
    /// Chooses the colour of a status, state, result, disposition or outcome.
    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "active" | "delivered" | "healthy" | "finished" | "routed" | "done" | "true" => Self::Good,
            "paused" | "pending" | "held" | "retrying" | "queued" | "resting" | "running" | "stopped"
            | "cancelled" | "unknown" | "filtered" | "discarded" | "no_webhook" | "not_enabled" => {
                Self::Warning
            }
            "disabled" | "failed" | "failing" | "rejected" | "http_status" | "timeout" | "dns"
            | "connect" | "tls" | "blocked" | "protocol" | "auth" => Self::Bad,
            _ => Self::Plain,
        }
    }

    /// Returns the parameters of the escape sequence.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Heading => Some("1"),
            Self::Good => Some("32"),
            Self::Warning => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// Returns the number of columns that a text takes.
pub(crate) fn display_width(text: &str) -> usize {
    text.width()
}

/// Cuts a text to a number of columns; the cut is marked.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    // One column is for the mark.
    let mut left = width.saturating_sub(1);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        kept.push(c);
    }
    if width > 0 {
        kept.push(ELLIPSIS);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns_and_the_cut_is_marked() {
        for (text, width, wanted) in [
            ("https://example.com", 19, "https://example.com"),
            ("https://example.com", 10, "https://e…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("ab", 1, "…"),
            ("ab", 0, ""),
        ] {
            assert_eq!(cut(text, width), wanted, "{text} in {width}");
            assert!(display_width(&cut(text, width)) <= width, "{text} in {width}");
        }
    }

    #[test]
    fn only_a_screen_with_colour_gets_escape_sequences() {
        let screen = Screen { width: Some(80), color: true };
        assert_eq!(screen.paint("failed", Color::of_word("failed")), "\u{1b}[31mfailed\u{1b}[0m");
        assert_eq!(screen.paint("other", Color::of_word("other")), "other");
        assert_eq!(Screen::PIPE.paint("failed", Color::Bad), "failed");
        assert_eq!(Screen::PIPE.fit(&"a".repeat(500)).len(), 500);
    }
}
