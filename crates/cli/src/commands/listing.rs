//! Lists that come in pages, and the options that bound them.

use clap::Args;
use serde_json::value::RawValue;

use crate::client::Query;
use crate::error::Error;
use crate::output::table::Column;
use crate::output::{ListPrinter, print_notice};
use crate::session::Session;

/// How much of a list is shown.
#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// Maximum number of results
    #[arg(long, value_name = "N", default_value = "100", conflicts_with = "all")]
    limit: usize,
    /// Show all results
    #[arg(long)]
    all: bool,
}

impl Limit {
    fn as_number(&self) -> Option<usize> {
        (!self.all).then_some(self.limit)
    }
}

/// Prints a list page by page, and says on standard error if it has more.
pub(super) async fn print_pages(
    session: &Session,
    path: &[&str],
    query: Query<'_>,
    limit: &Limit,
    columns: &[Column],
) -> Result<(), Error> {
    let mut printer = ListPrinter::new(session.output, columns);
    let mut shown = 0;
    let print_page = |page: &[Box<RawValue>]| {
        shown += page.len();
        printer.print_page(page)
    };
    let has_more = session.client.walk_pages(path, query, limit.as_number(), print_page).await?;
    printer.finish()?;
    if has_more {
        print_notice(&format!("{shown} shown, more: --limit or --all"));
    }
    Ok(())
}

/// Adds the parameters whose options were given.
pub(super) fn add_given<'a>(
    query: &mut Query<'a>,
    given: impl IntoIterator<Item = (&'a str, Option<String>)>,
) {
    query.extend(given.into_iter().filter_map(|(name, value)| Some((name, value?))));
}
