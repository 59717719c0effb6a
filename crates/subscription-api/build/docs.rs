//! Renders the pages of `/docs` from Markdown, so that the binary contains plain HTML.
//!
//! A line `{{snippets/name}}` includes a snippet. The tests run the same files, so the pages show code that works. The
//! lines `{{tabs}}` and `{{/tabs}}` enclose sections of which a reader needs one, such as one for each language.

mod highlight;
mod markdown;
mod search;
mod shell;

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use markdown::{Links, Rendered};

/// The two sets of pages. Their readers have little in common, so that each set has its own navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    /// For owners of endpoints and for producers
    Integrate,
    /// For support and operators
    Operate,
}

impl Set {
    fn title(self) -> &'static str {
        match self {
            Self::Integrate => "Integrate",
            Self::Operate => "Operate",
        }
    }
}

/// A page.
#[derive(Clone, Copy)]
pub(super) struct Page {
    /// The last part of its path
    name: &'static str,
    title: &'static str,
    /// Path of the Markdown; the API renders the reference when it starts, because handlers describe it in code
    source: Option<&'static str>,
    set: Set,
}

const fn page(set: Set, name: &'static str, title: &'static str, source: &'static str) -> Page {
    Page { name, title, source: Some(source), set }
}

/// All pages in the order of the navigation.
pub(super) const PAGES: &[Page] = &[
    page(Set::Integrate, "", "Start", "docs/start.md"),
    page(Set::Integrate, "quickstart", "Receiver quickstart", "docs/quickstart.md"),
    page(Set::Integrate, "endpoints", "Receive webhooks", "docs/endpoints.md"),
    page(Set::Integrate, "checklist", "Receiver checklist", "docs/checklist.md"),
    page(Set::Integrate, "troubleshooting", "Troubleshooting", "docs/troubleshooting.md"),
    page(Set::Integrate, "producers", "Publish events", "docs/producers.md"),
    page(Set::Integrate, "event-types", "Event types", "docs/event-types.md"),
    page(Set::Integrate, "limits", "Limits", "docs/limits.md"),
    page(Set::Integrate, "errors", "Errors", "docs/errors.md"),
    Page { name: "api", title: "API reference", source: None, set: Set::Integrate },
    page(Set::Integrate, "versions", "Versions and support", "docs/versions.md"),
    page(Set::Integrate, "changelog", "Changelog", "../CHANGELOG.md"),
    page(Set::Operate, "operate", "Overview", "docs/operate.md"),
    page(Set::Operate, "first-five-minutes", "First five minutes", "docs/first-five-minutes.md"),
    page(Set::Operate, "support", "Support brands", "docs/support.md"),
    page(Set::Operate, "operators", "Deployment", "../../deploy/README.md"),
    page(Set::Operate, "runbook", "Runbook", "../../deploy/runbook.md"),
    page(Set::Operate, "metrics", "Metrics", "../../deploy/metrics.md"),
];

/// Written for readers of the repository, so that it has links to files that are no page.
const CHANGELOG: &str = "changelog";

/// Writes `docs.rs` with all pages, the shell of the API reference, and the search index.
pub(crate) fn render_pages(crate_dir: &Path, out: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed=docs");
    println!("cargo::rerun-if-changed=build");
    let mut list = String::from("&[\n");
    let mut index = search::Index::default();
    for page in PAGES {
        let Some(source) = page.source else { continue };
        println!("cargo::rerun-if-changed={source}");
        let text = with_snippets(&fs::read_to_string(crate_dir.join(source))?, &crate_dir.join("docs"))?;
        let links = if page.name == CHANGELOG { Links::DropUnknown } else { Links::Strict };
        let rendered = markdown::render(&text, source, links);
        index.add(page, &rendered);
        // Writing to a string cannot fail.
        let _ = writeln!(list, "    ({:?}, {:?}),", page.name, shell::wrap_page(page, &rendered));
    }
    list.push(']');
    fs::write(out.join("docs.rs"), list)?;
    fs::write(out.join("search.json"), index.into_json())?;
    let place = Rendered { html: "{{reference}}".to_owned(), ..Rendered::default() };
    let reference = PAGES.iter().find(|page| page.source.is_none()).expect("the reference");
    fs::write(out.join("api_reference.html"), shell::wrap_page(reference, &place))
}

fn with_snippets(markdown: &str, docs: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(markdown.len());
    for line in markdown.lines() {
        match line.strip_prefix("{{snippets/").and_then(|line| line.strip_suffix("}}")) {
            Some(name) => {
                let language = name.rsplit_once('.').map_or("", |(_, extension)| extension);
                let snippet = fs::read_to_string(docs.join("snippets").join(name))?;
                let _ = writeln!(text, "```{language} {name}\n{}\n```", snippet.trim_end());
            }
            None => text.extend([line, "\n"]),
        }
    }
    Ok(text)
}
