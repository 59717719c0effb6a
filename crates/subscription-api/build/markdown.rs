//! Markdown as HTML with anchors, coloured code and tabs.

use std::collections::HashMap;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::PAGES;
use super::highlight::{escape, highlight};

/// Treatment of links to files that are no page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// The build fails
    Strict,
    /// The text of the link remains
    DropUnknown,
}

/// A heading of a page.
pub(super) struct Heading {
    pub(super) level: HeadingLevel,
    pub(super) anchor: String,
    pub(super) text: String,
    /// The text below, up to the next heading
    pub(super) body: String,
}

/// A rendered page.
#[derive(Default)]
pub(super) struct Rendered {
    pub(super) html: String,
    pub(super) headings: Vec<Heading>,
}

const TABS_BEGIN: &str = "{{tabs}}";
const TABS_END: &str = "{{/tabs}}";

/// Renders the Markdown of the file `source`.
pub(super) fn render(markdown: &str, source: &str, links: Links) -> Rendered {
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut writer = Writer {
        source,
        links,
        out: Vec::with_capacity(events.len()),
        headings: Vec::new(),
        anchors: HashMap::new(),
        in_tabs: false,
        in_panel: false,
        link_is_dropped: false,
    };
    let mut position = 0;
    while position < events.len() {
        position += writer.write_next(&events[position..]);
    }
    assert!(!writer.in_tabs, "{source}: {TABS_BEGIN} without {TABS_END}");
    let mut html = String::new();
    html::push_html(&mut html, writer.out.into_iter());
    Rendered { html, headings: writer.headings }
}

struct Writer<'a> {
    source: &'a str,
    links: Links,
    out: Vec<Event<'a>>,
    headings: Vec<Heading>,
    anchors: HashMap<String, usize>,
    in_tabs: bool,
    in_panel: bool,
    link_is_dropped: bool,
}

impl<'a> Writer<'a> {
    /// Writes the first event, together with its content if it is a heading or code. Returns the number of events.
    fn write_next(&mut self, events: &[Event<'a>]) -> usize {
        match &events[0] {
            Event::Start(Tag::Heading { level, .. }) => {
                let content = content_until(events, &TagEnd::Heading(*level));
                self.write_heading(*level, content);
                return content.len() + 2;
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let content = content_until(events, &TagEnd::CodeBlock);
                self.write_code(kind, &text_of(content));
                return content.len() + 2;
            }
            Event::Start(Tag::Paragraph) => {
                let content = content_until(events, &TagEnd::Paragraph);
                if self.write_tabs(&text_of(content)) {
                    return content.len() + 2;
                }
                self.out.push(events[0].clone());
            }
            Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link) => self.write_link(&events[0]),
            other => {
                self.keep_text(other);
                self.out.push(other.clone());
            }
        }
        1
    }

    /// Adds the text to the section, for the search. Words of different blocks stay apart.
    fn keep_text(&mut self, event: &Event<'_>) {
        let Some(heading) = self.headings.last_mut() else { return };
        match event {
            Event::Text(text) | Event::Code(text) => heading.body.push_str(text),
            Event::SoftBreak
            | Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell | TagEnd::TableHead) => {
                heading.body.push(' ');
            }
            _ => {}
        }
    }

    fn write_html(&mut self, html: String) {
        self.out.push(Event::Html(CowStr::from(html)));
    }

    /// Gives a heading the same anchor as other renderers of Markdown do, such as GitHub, and shows it.
    fn write_heading(&mut self, level: HeadingLevel, content: &[Event<'a>]) {
        let text = text_of(content);
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let anchor: String = text.to_lowercase().chars().filter(is_kept).collect();
        let mut anchor = anchor.replace(' ', "-");
        let uses = self.anchors.entry(anchor.clone()).or_default();
        if *uses > 0 {
            anchor = format!("{anchor}-{uses}");
        }
        *uses += 1;
        if self.in_tabs && level == HeadingLevel::H3 {
            let end = if self.in_panel { "</section>\n" } else { "" };
            self.write_html(format!("{end}<section class=\"panel\">\n"));
            self.in_panel = true;
        }
        self.write_html(format!("<{level} id=\"{anchor}\">"));
        self.out.extend(content.iter().cloned());
        let link = match level {
            HeadingLevel::H1 => String::new(),
            _ => format!(" <a class=\"anchor\" href=\"#{anchor}\" aria-label=\"Link to this section\">#</a>"),
        };
        self.write_html(format!("{link}</{level}>\n"));
        self.headings.push(Heading { level, anchor, text, body: String::new() });
    }

    /// Writes coloured code. The first word after the fence is the language, the second one the name of a file.
    fn write_code(&mut self, kind: &CodeBlockKind<'_>, code: &str) {
        let info = if let CodeBlockKind::Fenced(info) = kind { info.as_ref() } else { "" };
        let mut words = info.split(' ');
        let language = words.next().unwrap_or_default();
        let file =
            words.next().map_or_else(String::new, |file| format!("<p class=\"file\">{}</p>\n", escape(file)));
        // Wide code scrolls sideways, also with the keyboard.
        self.write_html(format!(
            "{file}<pre tabindex=\"0\"><code>{}</code></pre>\n",
            highlight(language, code)
        ));
    }

    fn write_tabs(&mut self, text: &str) -> bool {
        match text {
            TABS_BEGIN => self.write_html("<div class=\"tabs\">\n".to_owned()),
            TABS_END => {
                assert!(self.in_panel, "{}: tabs without a heading of level 3", self.source);
                self.write_html("</section>\n</div>\n".to_owned());
            }
            _ => return false,
        }
        self.in_tabs = text == TABS_BEGIN;
        self.in_panel = false;
        true
    }

    fn write_link(&mut self, event: &Event<'a>) {
        let mut event = event.clone();
        match &mut event {
            Event::Start(Tag::Link { dest_url, .. }) => match resolve_link(dest_url, self.source) {
                Some(url) => *dest_url = CowStr::from(url),
                None => {
                    assert!(
                        self.links == Links::DropUnknown,
                        "{}: {dest_url} leads to no page of /docs",
                        self.source
                    );
                    self.link_is_dropped = true;
                    return;
                }
            },
            _ if self.link_is_dropped => {
                self.link_is_dropped = false;
                return;
            }
            _ => {}
        }
        self.out.push(event);
    }
}

/// Returns the events between the first one and this end.
fn content_until<'e, 'a>(events: &'e [Event<'a>], end: &TagEnd) -> &'e [Event<'a>] {
    let length = events.iter().position(|event| matches!(event, Event::End(own) if own == end));
    &events[1..length.expect("every tag ends")]
}

fn text_of(events: &[Event<'_>]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
        _ => None,
    });
    texts.collect()
}

/// Translates a link between files of the repository into a link between pages, if it leads to a page.
fn resolve_link(link: &str, source: &str) -> Option<String> {
    if link.contains("://") || link.starts_with(['/', '#']) || link.starts_with("mailto:") {
        return Some(link.to_owned());
    }
    let (file, anchor) =
        link.split_once('#').map_or((link, String::new()), |(file, anchor)| (file, format!("#{anchor}")));
    let dir = source.rsplit_once('/').map_or("", |(dir, _)| dir);
    let path = normalize_path(&format!("{dir}/{file}"));
    let page = PAGES.iter().find(|page| page.source == Some(&path))?;
    Some(format!("/docs/{}{anchor}", page.name))
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
