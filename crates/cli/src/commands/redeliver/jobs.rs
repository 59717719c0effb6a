//! Lists, shows and cancels redelivery jobs.

use clap::Subcommand;
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::read_job;
use crate::client::{Query, parse_json};
use crate::commands::listing::{Limit, add_given, print_pages};
use crate::error::Error;
use crate::output::table::Column;
use crate::session::Session;
use crate::webhook_ref::{WebhookRef, find_webhook};

const COLUMNS: [Column; 10] = [
    Column::exact("JOB", "/id"),
    Column::word("STATE", "/state"),
    Column::exact("ATTEMPTED", "/attempted"),
    Column::exact("TOTAL", "/total"),
    Column::exact("DELIVERED", "/delivered"),
    Column::exact("CREATED", "/created"),
    Column::text("BY", "/actor").optional(),
    Column::exact("BRAND", "/brandId").optional(),
    Column::exact("WEBHOOK", "/webhookId"),
    Column::text("TRIGGER", "/trigger"),
];
/// Jobs among which one is looked for.
const MAX_SEARCHED: usize = 1000;
/// Shortest beginning of a job's id.
const MIN_PREFIX_CHARS: usize = 4;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List redelivery jobs, newest first: of a webhook, of the brand, or of all brands (support)
    #[command(after_help = "Examples:
  postrider redeliveries list
  postrider redeliveries list Billing
  postrider redeliveries list --all-brands --state running")]
    List {
        /// Webhook: its id, the beginning of its id, or its description [default: all webhooks of the brand]
        webhook: Option<String>,
        /// Jobs of all brands (support)
        #[arg(long, conflicts_with = "webhook")]
        all_brands: bool,
        /// Only jobs in this state
        #[arg(long, value_parser = ["running", "finished", "stopped", "cancelled"], conflicts_with = "webhook")]
        state: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a redelivery job with its progress
    Show {
        /// Id of the job, or the beginning of its id
        job: String,
        /// Webhook of the job, for a job of long ago
        #[arg(long)]
        webhook: Option<String>,
    },
    /// Cancel a redelivery job; events that were not attempted keep their status
    Cancel {
        /// Id of the job, or the beginning of its id
        job: String,
        /// Webhook of the job, for a job of long ago
        #[arg(long)]
        webhook: Option<String>,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    match command {
        Command::List { webhook: Some(webhook), limit, .. } => {
            let webhook = find_webhook(session, &webhook).await?;
            print_pages(session, &webhook.path(&["redeliver"]), Query::new(), &limit, &COLUMNS).await
        }
        Command::List { all_brands, state, limit, .. } => {
            let mut query = Query::new();
            add_given(&mut query, [("state", state)]);
            let brand = if all_brands { None } else { session.optional_brand().await? };
            print_pages(session, &jobs_path(brand.as_deref()), query, &limit, &COLUMNS).await
        }
        Command::Show { job, webhook } => {
            let (webhook, job) = find_job(session, &job, webhook.as_deref()).await?;
            session.output.print_resource(&read_job(session, &webhook, &job).await?)
        }
        Command::Cancel { job, webhook } => {
            let (webhook, job) = find_job(session, &job, webhook.as_deref()).await?;
            session.client.send_empty(Method::DELETE, &webhook.path(&["redeliver", &job])).await?;
            session.output.print_confirmation(&format!("the job {job} is cancelled"))
        }
    }
}

/// Returns the path of the jobs of a brand, or of all brands.
fn jobs_path(brand: Option<&str>) -> [&str; 3] {
    match brand {
        Some(brand) => ["v1", brand, "redeliveries"],
        None => ["admin", "v1", "redeliveries"],
    }
}

/// A job as far as it is looked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    id: String,
    webhook_id: String,
    brand_id: Option<String>,
}

/// Finds the webhook and the whole id of a job.
async fn find_job(
    session: &Session,
    job: &str,
    webhook: Option<&str>,
) -> Result<(WebhookRef, String), Error> {
    let brand = session.optional_brand().await?;
    let webhook = match webhook {
        Some(webhook) => Some(find_webhook(session, webhook).await?),
        None => None,
    };
    if let Some(webhook) = &webhook
        && job.len() == 36
    {
        return Ok((webhook.clone(), job.to_owned()));
    }
    let path = match &webhook {
        Some(webhook) => webhook.path(&["redeliver"]),
        None => jobs_path(brand.as_deref()).to_vec(),
    };
    let items = session.client.list_items(&path, Query::new(), MAX_SEARCHED).await?;
    let found = choose(&items, job)?;
    let webhook = match (webhook, found.brand_id.or(brand)) {
        (Some(webhook), _) => webhook,
        (None, Some(brand)) => WebhookRef { brand, id: found.webhook_id },
        (None, None) => find_webhook(session, &found.webhook_id).await?,
    };
    Ok((webhook, found.id))
}

/// Chooses the only job whose id begins so.
fn choose(items: &[Box<RawValue>], job: &str) -> Result<Candidate, Error> {
    let prefix = job.to_ascii_lowercase();
    let all: Result<Vec<Candidate>, Error> = items.iter().map(|item| parse_json(item.get())).collect();
    let mut matches: Vec<Candidate> = all?
        .into_iter()
        .filter(|candidate| prefix.len() >= MIN_PREFIX_CHARS && candidate.id.starts_with(&prefix))
        .collect();
    match matches.len() {
        1 => Ok(matches.remove(0)),
        0 => Err(Error::Usage(format!(
            "no job among the {} newest has an id that begins with {job}; give --webhook",
            items.len()
        ))),
        several => Err(Error::Usage(format!("{several} jobs begin with {job}; give more of the id"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_is_named_by_the_beginning_of_its_id() {
        let items: Vec<Box<RawValue>> = serde_json::from_str(
            r#"[{"id":"aaaa1111-0","webhookId":"w1"},{"id":"aaaa2222-0","webhookId":"w2","brandId":"acme"}]"#,
        )
        .expect("JSON");
        let found = choose(&items, "AAAA2").expect("a job");
        assert_eq!((found.webhook_id.as_str(), found.brand_id.as_deref()), ("w2", Some("acme")));
        for job in ["aaaa", "aaa", "bbbb", ""] {
            assert!(choose(&items, job).is_err(), "{job}");
        }
    }
}
