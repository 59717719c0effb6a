//! Renders the pages of `/docs` from Markdown, so that the binary contains plain HTML.
//!
//! A line `{{snippets/name}}` includes a snippet. The tests run the same files, so the pages show code that works.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Name, title and source of each page, in the order of the navigation.
const PAGES: [(&str, &str, &str); 8] = [
    ("", "Start", "docs/start.md"),
    ("first-five-minutes", "First five minutes", "docs/first-five-minutes.md"),
    ("endpoints", "Endpoint owners", "docs/endpoints.md"),
    ("producers", "Producers", "docs/producers.md"),
    ("support", "Support", "docs/support.md"),
    ("operators", "Operators", "../../deploy/README.md"),
    ("runbook", "Runbook", "../../deploy/runbook.md"),
    ("metrics", "Metrics", "../../deploy/metrics.md"),
];

/// Name and title of the page that is rendered from the OpenAPI document.
const REFERENCE: (&str, &str) = ("api", "API reference");

/// Writes `docs.rs`, which contains all pages as an array, and the shell of the API reference.
pub(crate) fn render_pages(crate_dir: &Path, out: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed=docs");
    let mut list = String::from("&[\n");
    for (name, title, source) in PAGES {
        println!("cargo::rerun-if-changed={source}");
        let markdown = with_snippets(&fs::read_to_string(crate_dir.join(source))?, &crate_dir.join("docs"))?;
        let page = wrap_page(name, title, &render_markdown(&markdown, source));
        // Writing to a string cannot fail.
        let _ = writeln!(list, "    ({name:?}, {page:?}),");
    }
    list.push(']');
    fs::write(out.join("docs.rs"), list)?;
    // The API renders this page when it starts, because the OpenAPI document is described in code.
    fs::write(out.join("api_reference.html"), wrap_page(REFERENCE.0, REFERENCE.1, "{{reference}}"))
}

fn with_snippets(markdown: &str, docs: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(markdown.len());
    for line in markdown.lines() {
        match line.strip_prefix("{{").and_then(|line| line.strip_suffix("}}")) {
            Some(name) => {
                let language = name.rsplit_once('.').map_or("", |(_, extension)| extension);
                let snippet = fs::read_to_string(docs.join(name))?;
                let _ = writeln!(text, "```{language}\n{}\n```", snippet.trim_end());
            }
            None => text.extend([line, "\n"]),
        }
    }
    Ok(text)
}

fn render_markdown(markdown: &str, source: &str) -> String {
    let options = Options::ENABLE_TABLES;
    let mut events: Vec<Event<'_>> = Parser::new_ext(markdown, options).collect();
    name_headings(&mut events);
    for event in &mut events {
        if let Event::Start(Tag::Link { dest_url, .. }) = event {
            *dest_url = CowStr::from(resolve_link(dest_url, source));
        }
    }
    let mut body = String::new();
    html::push_html(&mut body, events.into_iter());
    // Wide code scrolls sideways, also with the keyboard.
    body.replace("<pre>", "<pre tabindex=\"0\">")
}

/// Gives each heading the same anchor as other renderers of Markdown do, such as GitHub.
fn name_headings(events: &mut [Event<'_>]) {
    for index in 0..events.len() {
        if !matches!(events[index], Event::Start(Tag::Heading { .. })) {
            continue;
        }
        let inside =
            events[index + 1..].iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
        let words = inside.filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.to_lowercase()),
            _ => None,
        });
        let is_kept = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let anchor: String = words.collect::<String>().chars().filter(|c| is_kept(*c)).collect();
        if let Event::Start(Tag::Heading { id, .. }) = &mut events[index] {
            *id = Some(CowStr::from(anchor.replace(' ', "-")));
        }
    }
}

/// Translates a link between files of the repository into a link between pages.
fn resolve_link(link: &str, source: &str) -> String {
    if link.contains("://") || link.starts_with(['/', '#']) || link.starts_with("mailto:") {
        return link.to_owned();
    }
    let (file, anchor) =
        link.split_once('#').map_or((link, String::new()), |(file, anchor)| (file, format!("#{anchor}")));
    let dir = source.rsplit_once('/').map_or("", |(dir, _)| dir);
    let path = normalize_path(&format!("{dir}/{file}"));
    let page = PAGES.iter().find(|(_, _, source)| *source == path);
    let (name, ..) = page.unwrap_or_else(|| panic!("{source}: {link} leads to no page of /docs"));
    format!("/docs/{name}{anchor}")
}

/// Removes `.` and `..` from a path.
fn normalize_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        if part == ".." && parts.last().is_some_and(|last| *last != "..") {
            parts.pop();
        } else if part != "." {
            parts.push(part);
        }
    }
    parts.join("/")
}

fn wrap_page(name: &str, title: &str, body: &str) -> String {
    let mut navigation = String::new();
    let pages = PAGES.iter().map(|(name, title, _)| (*name, *title)).chain([REFERENCE]);
    for (other, title) in pages {
        let current = if other == name { " aria-current=\"page\"" } else { "" };
        let _ = write!(navigation, "<a href=\"/docs/{other}\"{current}>{title}</a>");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} – Postrider</title><link rel=\"stylesheet\" href=\"/docs/style.css\"></head>\
         <body><nav aria-label=\"Pages\">{navigation}</nav>\
         <main>\n{body}</main></body></html>\n"
    )
}
