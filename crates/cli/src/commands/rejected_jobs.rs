//! Jobs that republish or delete rejected events.

use clap::Subcommand;
use http::Method;

use super::listing::{Limit, print_pages};
use crate::client::Query;
use crate::error::Error;
use crate::output::table::Column;
use crate::session::Session;

const COLUMNS: [Column; 9] = [
    Column::exact("JOB", "/id"),
    Column::exact("ACTION", "/action"),
    Column::word("STATE", "/state"),
    Column::exact("DONE", "/done"),
    Column::exact("TOTAL", "/total"),
    Column::exact("BRAND", "/brandId").optional(),
    Column::exact("REASON", "/reason").optional(),
    Column::text("TYPE", "/type").optional(),
    Column::exact("CREATED", "/created"),
];
const PATH: [&str; 4] = ["admin", "v1", "rejected", "jobs"];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the jobs, newest first
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a job with its progress
    Show {
        /// Id of the job
        job: String,
    },
    /// Cancel a job; the events that it has not reached stay rejected
    Cancel {
        /// Id of the job
        job: String,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    match command {
        Command::List { limit } => print_pages(session, &PATH, Query::new(), &limit, &COLUMNS).await,
        Command::Show { job } => {
            let path = [&PATH[..], &[&job]].concat();
            session.output.print_resource(&client.get(&path, &Query::new()).await?)
        }
        Command::Cancel { job } => {
            client.send_empty(Method::DELETE, &[&PATH[..], &[&job]].concat()).await?;
            session.output.print_confirmation(&format!("the job {job} is cancelled"))
        }
    }
}
