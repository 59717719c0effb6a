//! Logs in, and manages the profiles.

use clap::{Args, Subcommand};

use crate::client::Query;
use crate::error::Error;
use crate::output::table::{Column, Table};
use crate::output::{Output, print_notice};
use crate::profiles::{DEFAULT_PROFILE, Profile, ProfileFile, ProfileName, Profiles};
use crate::prompt::read_secret;
use crate::session::{Common, Session, Target};

/// Check a token and keep it in a profile
///
/// The token is read from the terminal without showing it, or from the standard input. The file with the profiles is
/// postrider/profiles.json in the directory of your settings ($XDG_CONFIG_HOME or ~/.config), and only you may read it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  postrider login --url https://postrider.example.com
  postrider login --profile eu-support --url https://eu.example.com < token.txt
  postrider webhooks list --profile eu-support")]
pub(crate) struct Login {
    /// Do not make the profile the current one
    #[arg(long)]
    no_use: bool,
}

/// Manage the profiles of postrider login
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the profiles
    List,
    /// Make a profile the current one, which is used if no token is given
    Use {
        /// Name of the profile
        name: ProfileName,
    },
    /// Delete a profile with its token; the token itself stays valid
    Delete {
        /// Name of the profile
        name: ProfileName,
    },
}

/// Checks a token against the API and keeps it.
pub(crate) async fn log_in(common: &Common, command: Login, is_token_argument: bool) -> Result<(), Error> {
    if is_token_argument {
        let message = "postrider login reads the token from the terminal or the standard input, so that no list of \
                       processes shows it: leave out --token";
        return Err(Error::Usage(message.to_owned()));
    }
    let file = ProfileFile::require()?;
    let mut profiles = file.load()?;
    let name = common.given_profile().unwrap_or(DEFAULT_PROFILE).to_owned();
    let url = match (common.given_url(), profiles.profiles.get(&name)) {
        (None, Some(known)) => known.url.clone(),
        _ => common.url_or_default()?,
    };
    let token = read_secret(&format!("Token for {url}"))?;
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Error::Usage("give a token on the standard input, and nothing else".to_owned()));
    }
    let brand = common.given_brand().map(str::to_owned);
    let target = Target { url: url.clone(), token: token.clone(), brand: brand.clone() };
    let output = Output::new(common.output);
    let session = Session::with_target(target, output)?;
    let answer = session.client.get(&["v1", "me"], &Query::new()).await?;
    let caller = session.caller().await?;
    let owner = match &caller.brand_id {
        Some(brand) => format!("the brand {brand} ({})", caller.role),
        None => caller.role.clone(),
    };
    profiles.profiles.insert(name.clone(), Profile { url, token, brand });
    if !command.no_use || profiles.current.is_none() {
        profiles.current = Some(name.clone());
    }
    file.save(&profiles)?;
    print_notice(&format!("the profile {name} is in {}", file.path().display()));
    output.print_summary(&answer, &format!("logged in as {owner}"))
}

/// Lists, chooses or deletes profiles.
pub(crate) fn run(common: &Common, command: Command) -> Result<(), Error> {
    let file = ProfileFile::require()?;
    let mut profiles = file.load()?;
    let output = Output::new(common.output);
    match command {
        Command::List => list_profiles(output, &profiles),
        Command::Use { name } => {
            let name = name.as_str();
            profiles.find(Some(name))?;
            profiles.current = Some(name.to_owned());
            file.save(&profiles)?;
            output.print_confirmation(&format!("{name} is the current profile"))
        }
        Command::Delete { name } => {
            let name = name.as_str();
            profiles.find(Some(name))?;
            profiles.profiles.remove(name);
            profiles.current = profiles.current.filter(|current| current != name);
            file.save(&profiles)?;
            output.print_confirmation(&format!("{name} is deleted"))
        }
    }
}

/// Prints the profiles without their tokens.
fn list_profiles(output: Output, profiles: &Profiles) -> Result<(), Error> {
    if output.is_json() {
        let entries = profiles.profiles.iter().map(|(name, profile)| {
            let is_current = profiles.current.as_ref() == Some(name);
            serde_json::json!({"name": name, "url": profile.url.as_str(), "brand": profile.brand, "current": is_current})
        });
        return output.print_resource(&serde_json::Value::from_iter(entries).to_string());
    }
    const COLUMNS: [Column; 4] = [
        Column::exact("PROFILE", ""),
        Column::exact("CURRENT", ""),
        Column::exact("BRAND", "").optional(),
        Column::text("URL", ""),
    ];
    let mut table = Table::new(&COLUMNS);
    for (name, profile) in &profiles.profiles {
        let current = if profiles.current.as_ref() == Some(name) { "*" } else { "" };
        let brand = profile.brand.clone().unwrap_or_else(|| "-".to_owned());
        table.push(vec![name.clone(), current.to_owned(), brand, profile.url.to_string()]);
    }
    output.print_table(table)
}
