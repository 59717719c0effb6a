//! The page around the text: header, navigation, contents, the pages before and after.

use std::fmt::Write as _;

use pulldown_cmark::HeadingLevel;

use super::highlight::escape;
use super::markdown::Rendered;
use super::{PAGES, Page, Set};

/// Number of headings from which a page has a list of contents.
const MIN_CONTENTS: usize = 3;
/// Number of headings up to which the contents also list headings of level 3.
const MAX_DEEP_CONTENTS: usize = 40;

/// Returns the whole HTML of a page.
pub(super) fn wrap_page(page: &Page, rendered: &Rendered) -> String {
    let title = escape(page.title);
    let head = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} – Postrider docs</title>\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"/docs/icon.svg\">\
         <link rel=\"stylesheet\" href=\"/docs/style.css\"><script src=\"/docs/docs.js\"></script></head>"
    );
    let contents = render_contents(rendered);
    format!(
        "{head}\n<body>{}<div class=\"page\">{}<main id=\"text\">\n{}{}</main>{contents}</div></body></html>\n",
        render_header(page),
        render_pages(page),
        rendered.html,
        render_neighbours(page),
    )
}

fn render_header(page: &Page) -> String {
    let mut sets = String::new();
    for (set, path) in [(Set::Integrate, "/docs"), (Set::Operate, "/docs/operate")] {
        let current = if set == page.set { " aria-current=\"true\"" } else { "" };
        let _ = write!(sets, "<a href=\"{path}\"{current}>{}</a>", set.title());
    }
    format!(
        "<a class=\"skip\" href=\"#text\">Skip to the text</a><header>\
         <a class=\"logo\" href=\"/docs\" aria-label=\"Postrider docs\"><img src=\"/docs/icon.svg\" alt=\"\" width=\"24\" height=\"24\">\
         <span>Postrider <small>docs</small></span></a>\
         <nav class=\"sets\" aria-label=\"Sets of pages\">{sets}</nav><div class=\"tools\"></div>\
         <a class=\"console\" href=\"/console\">Console</a></header>"
    )
}

fn render_pages(page: &Page) -> String {
    let mut list = String::new();
    for other in PAGES.iter().filter(|other| other.set == page.set) {
        let current = if other.name == page.name { " aria-current=\"page\"" } else { "" };
        let _ =
            write!(list, "<li><a href=\"/docs/{}\"{current}>{}</a></li>", other.name, escape(other.title));
    }
    // Narrow screens have no room for it in the header.
    list.push_str("<li class=\"narrow\"><a href=\"/console\">Console</a></li>");
    format!("<nav class=\"pages\" id=\"pages\" aria-label=\"Pages\"><ul>{list}</ul></nav>")
}

fn render_contents(rendered: &Rendered) -> String {
    let wanted = |level: HeadingLevel| {
        level == HeadingLevel::H2
            || (level == HeadingLevel::H3 && rendered.headings.len() <= MAX_DEEP_CONTENTS)
    };
    let mut list = String::new();
    let mut count = 0;
    for heading in rendered.headings.iter().filter(|heading| wanted(heading.level)) {
        let class = if heading.level == HeadingLevel::H3 { " class=\"deep\"" } else { "" };
        let _ = write!(list, "<li{class}><a href=\"#{}\">{}</a></li>", heading.anchor, escape(&heading.text));
        count += 1;
    }
    if count < MIN_CONTENTS {
        return String::new();
    }
    format!(
        "<nav class=\"contents\" aria-labelledby=\"contents-title\"><p id=\"contents-title\">On this page</p><ul>{list}</ul></nav>"
    )
}

/// Links to the pages before and after this one in the same set.
fn render_neighbours(page: &Page) -> String {
    let set: Vec<&Page> = PAGES.iter().filter(|other| other.set == page.set).collect();
    let position = set.iter().position(|other| other.name == page.name).unwrap_or_default();
    let link = |other: Option<&&Page>, class: &str, word: &str| {
        other.map_or_else(String::new, |other| {
            let title = escape(other.title);
            format!("<a class=\"{class}\" href=\"/docs/{}\"><small>{word}</small> {title}</a>", other.name)
        })
    };
    let before = link(position.checked_sub(1).and_then(|index| set.get(index)), "before", "Previous");
    let after = link(set.get(position + 1), "after", "Next");
    format!("<nav class=\"neighbours\" aria-label=\"Previous and next page\">{before}{after}</nav>\n")
}
