//! The context of one run: the API client, the brand and the output format.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueHint};
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::{Host, Url};

use crate::client::{Client, Query};
use crate::error::Error;
use crate::output::{Format, Output, print_notice};
use crate::profiles::{Profile, ProfileFile, ProfileName};

/// Help heading that keeps the global options apart from a command's own.
const GLOBAL_OPTIONS: &str = "Global options";
/// URL of the API on the machine where it was installed.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// Said if nothing names a token.
const NO_TOKEN: &str = "give a token: run postrider login, or set POSTRIDER_TOKEN or POSTRIDER_TOKEN_FILE";
/// Bytes that are read of a file with a token. A token has less than a hundred.
const MAX_TOKEN_FILE_BYTES: u64 = 4096;

/// Options that every command takes. An empty value counts as not given.
#[derive(Debug, Args)]
#[command(next_help_heading = GLOBAL_OPTIONS)]
pub(crate) struct Common {
    /// URL of the API [default: the profile's, or http://127.0.0.1:8080]
    #[arg(
        long,
        global = true,
        env = "POSTRIDER_URL",
        value_name = "URL",
        value_hint = ValueHint::Url,
        value_parser = Given::<Url>::parse
    )]
    url: Option<Given<Url>>,
    /// Token of a brand or of support; everybody on this machine can read it in the list of processes
    #[arg(
        long,
        global = true,
        env = "POSTRIDER_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        value_parser = Given::<HiddenToken>::parse
    )]
    token: Option<Given<HiddenToken>>,
    /// File with the token
    #[arg(
        long,
        global = true,
        env = "POSTRIDER_TOKEN_FILE",
        value_name = "PATH",
        value_hint = ValueHint::FilePath,
        value_parser = Given::<PathBuf>::parse
    )]
    token_file: Option<Given<PathBuf>>,
    /// Profile of postrider login to use [default: the current one, if no token is given]
    #[arg(
        long,
        global = true,
        env = "POSTRIDER_PROFILE",
        value_name = "NAME",
        value_parser = Given::<ProfileName>::parse
    )]
    profile: Option<Given<ProfileName>>,
    /// Brand to work on [default: the brand of the token]
    // Commands about brands have an argument with the id `brand`.
    #[arg(
        id = "brand_option",
        long = "brand",
        global = true,
        env = "POSTRIDER_BRAND",
        value_name = "BRAND",
        value_parser = Given::<String>::parse
    )]
    brand: Option<Given<String>>,
    /// Output format
    #[arg(long, short, global = true, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Format,
}

/// A value that may be empty, because a script may set a variable to nothing instead of unsetting it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given<T>(Option<T>);

impl<T: FromStr<Err: fmt::Display>> Given<T> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|value| Self(Some(value))).map_err(|error: T::Err| error.to_string())
    }
}

/// A token whose `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
struct HiddenToken(String);

impl FromStr for HiddenToken {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for HiddenToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenToken(…)")
    }
}

/// Reads the token in a file, without the white space around it.
fn read_token_file(path: &Path) -> Result<String, Error> {
    let unreadable = |reason: &dyn fmt::Display| {
        Error::Usage(format!("the token file {} cannot be used: {reason}", path.display()))
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    file.take(MAX_TOKEN_FILE_BYTES).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    match text.trim() {
        "" => Err(unreadable(&"it is empty")),
        token => Ok(token.to_owned()),
    }
}

/// The client, output format and brand of one run.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) output: Output,
    brand: Option<String>,
    caller: OnceCell<Caller>,
}

/// The owner of a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Caller {
    pub(crate) role: String,
    /// Brand of the token. `None` for support.
    pub(crate) brand_id: Option<String>,
}

/// The API and the credentials of a run.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) token: String,
    pub(crate) brand: Option<String>,
}

impl Common {
    /// Decides between a token and a file with a token: an option wins over a variable. Two options are an error.
    pub(crate) fn choose_token(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let is_option = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        match (is_option("token"), is_option("token_file")) {
            (true, true) => {
                let message = "--token and --token-file cannot be used together";
                return Err(clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n")));
            }
            (true, false) => self.token_file = None,
            (false, true) => self.token = None,
            (false, false) => {}
        }
        Ok(())
    }

    /// Returns the URL of the options and the environment.
    pub(crate) fn given_url(&self) -> Option<&Url> {
        self.url.as_ref()?.0.as_ref()
    }

    /// Returns the brand of the options and the environment.
    pub(crate) fn given_brand(&self) -> Option<&str> {
        self.brand.as_ref()?.0.as_deref()
    }

    /// Returns the name of the profile of the options and the environment.
    pub(crate) fn given_profile(&self) -> Option<&str> {
        self.profile.as_ref()?.0.as_ref().map(ProfileName::as_str)
    }

    /// Returns the URL of the options, or the default one.
    pub(crate) fn url_or_default(&self) -> Result<Url, Error> {
        let default = || DEFAULT_URL.parse().map_err(|_| Error::Usage(DEFAULT_URL.to_owned()));
        self.given_url().cloned().map_or_else(default, Ok)
    }

    /// Returns the token of the options and the environment. A token comes before a file with a token.
    fn given_token(&self) -> Result<Option<String>, Error> {
        if let Some(Given(Some(HiddenToken(token)))) = &self.token {
            return Ok(Some(token.clone()));
        }
        match &self.token_file {
            Some(Given(Some(path))) => read_token_file(path).map(Some),
            _ => Ok(None),
        }
    }

    /// Combines the options and the environment with a profile, which they override.
    fn resolve(&self, profile: Option<&Profile>) -> Result<Target, Error> {
        let url = match (self.given_url(), profile) {
            (None, Some(profile)) => profile.url.clone(),
            _ => self.url_or_default()?,
        };
        let brand = self.given_brand().map(str::to_owned).or_else(|| profile?.brand.clone());
        if let Some(token) = self.given_token()? {
            return Ok(Target { url, token, brand });
        }
        let Some(profile) = profile else { return Err(Error::Usage(NO_TOKEN.to_owned())) };
        // Otherwise the token would go to whatever server somebody names in a URL.
        if url != profile.url {
            let own = &profile.url;
            let message = format!("the token of the profile is for {own}; give a token for {url}");
            return Err(Error::Usage(message));
        }
        Ok(Target { url, token: profile.token.clone(), brand })
    }

    /// Finds the profile to use: the given one, or the current one if no token is given.
    fn load_profile(&self) -> Result<Option<Profile>, Error> {
        let name = self.given_profile();
        if name.is_none() && self.given_token()?.is_some() {
            return Ok(None);
        }
        match ProfileFile::locate() {
            Some(file) => Ok(file.load()?.find(name)?.cloned()),
            None if name.is_some() => ProfileFile::require().map(|_| None),
            None => Ok(None),
        }
    }
}

impl Session {
    pub(crate) fn new(common: &Common) -> Result<Self, Error> {
        let target = common.resolve(common.load_profile()?.as_ref())?;
        Self::with_target(target, Output::new(common.output))
    }

    /// Creates a session for an API and a token.
    pub(crate) fn with_target(target: Target, output: Output) -> Result<Self, Error> {
        if exposes_token(&target.url) {
            let host = target.url.host_str().unwrap_or_default();
            print_notice(&format!("warning: the token goes to {host} unencrypted; use an https: URL"));
        }
        let client = Client::new(target.url, target.token)?;
        Ok(Self { client, output, brand: target.brand, caller: OnceCell::new() })
    }

    /// Returns the brand of `--brand`.
    pub(crate) fn given_brand(&self) -> Option<&str> {
        self.brand.as_deref()
    }

    /// Returns the owner of the token, which the API is asked for once.
    pub(crate) async fn caller(&self) -> Result<&Caller, Error> {
        let ask = || async { self.client.get_json(&["v1", "me"], &Query::new()).await };
        self.caller.get_or_try_init(ask).await
    }

    /// Whether the token is support's.
    pub(crate) async fn is_support(&self) -> Result<bool, Error> {
        Ok(self.caller().await?.brand_id.is_none())
    }

    /// Returns the brand of `--brand`, or else the brand that the token belongs to. Support's token belongs to none.
    pub(crate) async fn optional_brand(&self) -> Result<Option<String>, Error> {
        match &self.brand {
            Some(brand) => Ok(Some(brand.clone())),
            None => Ok(self.caller().await?.brand_id.clone()),
        }
    }

    /// Returns the brand of `--brand`, or else the brand that the token belongs to.
    pub(crate) async fn resolve_brand(&self) -> Result<String, Error> {
        let no_brand =
            || Error::Usage("a support token has no brand: give --brand or POSTRIDER_BRAND".to_owned());
        self.optional_brand().await?.ok_or_else(no_brand)
    }
}

/// Whether others can read a token that is sent to this URL: plain HTTP to another machine.
fn exposes_token(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => true,
    };
    url.scheme() == "http" && !is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(url: Option<&str>, token: Option<&str>) -> Common {
        Common {
            url: url.map(|url| Given::parse(url).expect("a URL")),
            token: token.map(|token| Given::parse(token).expect("a token")),
            token_file: None,
            profile: None,
            brand: None,
            output: Format::Table,
        }
    }

    #[test]
    fn options_and_environment_override_the_profile() {
        let url: Url = "https://eu.example.com".parse().expect("a URL");
        let profile = Profile { url: url.clone(), token: "prt_1".to_owned(), brand: Some("acme".to_owned()) };
        let resolved = |common: &Common, profile| {
            let target = common.resolve(profile).map_err(|error| error.to_string())?;
            Ok::<_, String>((target.url.to_string(), target.token, target.brand))
        };
        let acme = Some("acme".to_owned());
        let own = Ok((url.to_string(), "prt_1".to_owned(), acme.clone()));
        assert_eq!(resolved(&common(None, None), Some(&profile)), own);
        assert_eq!(resolved(&common(Some("https://eu.example.com"), None), Some(&profile)), own);
        let given = Ok((url.to_string(), "prt_2".to_owned(), acme));
        assert_eq!(resolved(&common(None, Some("prt_2")), Some(&profile)), given);
        let local = Ok(("http://127.0.0.1:8080/".to_owned(), "prt_2".to_owned(), None));
        assert_eq!(resolved(&common(None, Some("prt_2")), None), local);
        let brand = Common { brand: Some(Given(Some("nova".to_owned()))), ..common(None, None) };
        assert_eq!(resolved(&brand, Some(&profile)).map(|target| target.2), Ok(Some("nova".to_owned())));
    }

    #[test]
    fn the_token_of_a_profile_goes_to_its_own_url_only() {
        let url = "https://eu.example.com".parse().expect("a URL");
        let profile = Profile { url, token: "prt_hush".to_owned(), brand: None };
        let elsewhere = common(Some("https://evil.example.com"), None);
        let error = elsewhere.resolve(Some(&profile)).err().expect("refused").to_string();
        assert!(error.contains("https://eu.example.com") && !error.contains("hush"), "{error}");
        for empty in [common(None, None), common(None, Some(""))] {
            assert_eq!(empty.resolve(None).err().map(|error| error.to_string()).as_deref(), Some(NO_TOKEN));
        }
    }

    #[test]
    fn token_is_exposed_by_plain_http_to_another_machine() {
        let exposes = |url: &str| exposes_token(&url.parse().expect("a URL"));
        for url in [
            "http://example.com",
            "http://10.0.0.1:8080",
            "http://[2001:db8::1]/",
            "http://localhost.example.com",
            "http://0.0.0.0:8080",
        ] {
            assert!(exposes(url), "{url}");
        }
        for url in [
            "https://example.com",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "http://[::1]:8080",
            "http://[::ffff:127.0.0.1]",
            "http://LOCALHOST:8080",
            "http://api.localhost",
            "http://localhost.",
        ] {
            assert!(!exposes(url), "{url}");
        }
    }

    #[test]
    fn a_token_file_has_a_token_and_may_end_with_a_line_end() {
        let path = std::env::temp_dir().join(format!("postrider-token-{}", uuid::Uuid::new_v4()));
        let read = |content: &str| {
            std::fs::write(&path, content).expect("a file");
            read_token_file(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("prt_hush\n").as_deref(), Ok("prt_hush"));
        assert!(read(" \n").is_err_and(|error| error.ends_with("cannot be used: it is empty")));
        std::fs::remove_file(&path).expect("removed");
        assert!(read_token_file(Path::new("/nothing/there")).is_err());
    }

    #[test]
    fn empty_values_count_as_not_given() {
        assert_eq!(Given::<Url>::parse(""), Ok(Given(None)));
        assert_eq!(Given::<ProfileName>::parse(""), Ok(Given(None)));
        assert!(Given::<Url>::parse("no URL").is_err() && Given::<ProfileName>::parse("a/b").is_err());
        let token = Given::<HiddenToken>::parse("prt_hush").expect("a token");
        assert!(!format!("{token:?}").contains("hush"));
    }
}
