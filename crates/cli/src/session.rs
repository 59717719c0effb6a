//! What every command works with: the API, the brand, the form of the output.

use serde::Deserialize;

use crate::args::Common;
use crate::client::{Client, Query};
use crate::error::Error;
use crate::output::Output;

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
    pub(crate) async fn brand(&self) -> Result<String, Error> {
        if let Some(brand) = &self.brand {
            return Ok(brand.clone());
        }
        let me: Me = self.client.read(&["v1", "me"], &Query::new()).await?;
        let unnamed =
            || Error::Usage("a support token has no brand: give --brand or POSTRIDER_BRAND".to_owned());
        me.brand_id.ok_or_else(unnamed)
    }
}
