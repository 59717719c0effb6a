//! The context of one run: the API client, the brand and the output format.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};

use clap::Args;
use serde::Deserialize;
use url::{Host, Url};

use crate::client::{Client, Query};
use crate::error::Error;
use crate::output::{Output, print_notice};

/// Help heading that keeps the global options apart from a command's own.
const GLOBAL_OPTIONS: &str = "Global options";
/// Bytes that are read of a file with a token. A token has less than a hundred.
const MAX_TOKEN_FILE_BYTES: u64 = 4096;

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// URL of the API
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL_OPTIONS,
        env = "POSTRIDER_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: Url,
    /// Token of a brand or of support
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL_OPTIONS,
        env = "POSTRIDER_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
    /// File with the token
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL_OPTIONS,
        env = "POSTRIDER_TOKEN_FILE",
        value_name = "PATH",
        value_parser = read_token_file,
        conflicts_with = "token"
    )]
    pub(crate) token_file: Option<FileToken>,
    /// Brand to work on [default: the brand of the token]
    #[arg(long, global = true, help_heading = GLOBAL_OPTIONS, env = "POSTRIDER_BRAND", value_name = "BRAND")]
    pub(crate) brand: Option<String>,
    /// Output format
    #[arg(
        long,
        short,
        global = true,
        help_heading = GLOBAL_OPTIONS,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Output,
}

/// A token that was read from a file. Its `Debug` hides the token.
#[derive(Clone)]
pub(crate) struct FileToken(String);

impl fmt::Debug for FileToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileToken(…)")
    }
}

/// Reads the token in a file, without the white space around it.
fn read_token_file(path: &str) -> Result<FileToken, String> {
    let unreadable = |error: io::Error| format!("the file cannot be read: {}", error.kind());
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_TOKEN_FILE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    match text.trim() {
        "" => Err("the file is empty".to_owned()),
        token => Ok(FileToken(token.to_owned())),
    }
}

/// The client, output format and brand of one run.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) output: Output,
    brand: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    brand_id: Option<String>,
}

impl Session {
    pub(crate) fn new(common: Common) -> Result<Self, Error> {
        let token = common.token.filter(|token| !token.is_empty());
        let token = token.or(common.token_file.map(|FileToken(token)| token));
        let no_token =
            || Error::Usage("give a token: --token, POSTRIDER_TOKEN or POSTRIDER_TOKEN_FILE".to_owned());
        let token = token.ok_or_else(no_token)?;
        if exposes_token(&common.url) {
            let host = common.url.host_str().unwrap_or_default();
            print_notice(&format!("warning: the token goes to {host} unencrypted; use an https: URL"));
        }
        Ok(Self { client: Client::new(common.url, token)?, output: common.output, brand: common.brand })
    }

    /// Returns the brand of `--brand`.
    pub(crate) fn given_brand(&self) -> Option<&str> {
        self.brand.as_deref()
    }

    /// Returns the brand of `--brand`, or else the brand that the token belongs to.
    pub(crate) async fn resolve_brand(&self) -> Result<String, Error> {
        if let Some(brand) = &self.brand {
            return Ok(brand.clone());
        }
        let me: Me = self.client.get_json(&["v1", "me"], &Query::new()).await?;
        let no_brand =
            || Error::Usage("a support token has no brand: give --brand or POSTRIDER_BRAND".to_owned());
        me.brand_id.ok_or_else(no_brand)
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
            read_token_file(path.to_str().expect("text")).map(|FileToken(token)| token)
        };
        assert_eq!(read("prt_hush\n"), Ok("prt_hush".to_owned()));
        assert_eq!(read(" \n"), Err("the file is empty".to_owned()));
        std::fs::remove_file(&path).expect("removed");
        assert!(read_token_file("/nothing/there").is_err());
    }
}
