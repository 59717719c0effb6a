//! What every command works with: the API, the brand, the form of the output.

use clap::Args;
use serde::Deserialize;
use url::Url;

use crate::client::{Client, Query};
use crate::error::Error;
use crate::output::Output;

/// What all commands take.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Where the API is
    #[arg(
        long,
        global = true,
        env = "POSTRIDER_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: Url,
    /// A brand's token, or support's
    #[arg(long, global = true, env = "POSTRIDER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The brand; a brand's token names its own
    #[arg(long, global = true, env = "POSTRIDER_BRAND", value_name = "BRAND")]
    pub(crate) brand: Option<String>,
    /// Form of the output
    #[arg(long, short, global = true, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
}

/// The settings of one run.
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
        let token =
            token.ok_or_else(|| Error::Usage("give a token: --token or POSTRIDER_TOKEN".to_owned()))?;
        Ok(Self { client: Client::new(common.url, token)?, output: common.output, brand: common.brand })
    }

    /// The brand: as it was given, else the token's own.
    pub(crate) async fn resolve_brand(&self) -> Result<String, Error> {
        if let Some(brand) = &self.brand {
            return Ok(brand.clone());
        }
        let me: Me = self.client.get_json(&["v1", "me"], &Query::new()).await?;
        let unnamed =
            || Error::Usage("a support token has no brand: give --brand or POSTRIDER_BRAND".to_owned());
        me.brand_id.ok_or_else(unnamed)
    }
}
