//! HTML from the texts of the OpenAPI document.

use pulldown_cmark::{Event, Options, Parser, html};

/// Escapes a text for the content of an element and for a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Renders a text as code.
pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// Renders Markdown. Tags in the text are shown as text.
pub(super) fn markdown(text: &str) -> String {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(tag) | Event::InlineHtml(tag) => Event::Text(tag),
        other => other,
    });
    let mut rendered = String::new();
    html::push_html(&mut rendered, events);
    rendered
}

/// Renders Markdown of one paragraph without the paragraph.
pub(super) fn inline_markdown(text: &str) -> String {
    let rendered = markdown(text);
    let inner = rendered.trim().strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>"));
    inner.filter(|inner| !inner.contains("<p>")).unwrap_or(&rendered).to_owned()
}

/// Renders a block of code.
pub(super) fn code_block(text: &str, label: &str) -> String {
    let label = escape(label);
    format!(
        "<pre tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><code>{}</code></pre>\n",
        escape(text)
    )
}

/// Renders a table of cells that are HTML already. A table without rows is empty.
pub(super) fn table(label: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    let row = |cells: &Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = rows.iter().map(row).collect();
    let label = escape(label);
    format!("<table aria-label=\"{label}\"><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_shows_tags_as_text() {
        assert_eq!(inline_markdown("`a<b>` & **c**"), "<code>a&lt;b&gt;</code> &amp; <strong>c</strong>");
        assert!(!markdown("a <script>b</script>\n\n<div>").contains("<script"));
        assert!(!markdown("<div>\nc").contains("<div"));
        assert_eq!(inline_markdown("one\n\ntwo"), "<p>one</p>\n<p>two</p>\n");
        assert!(markdown("| a |\n| --- |\n| b |").contains("<td>b</td>"));
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(code("<\"&"), "<code>&lt;&quot;&amp;</code>");
        assert!(code_block("<", "a\"b").contains("aria-label=\"a&quot;b\"><code>&lt;</code>"));
    }
}
