//! Authentication and authorization: `Authorization: Bearer <token>`.
//!
//! A handler states what it requires by the extractor that it takes: [`AnyCaller`], [`BrandReader`], [`BrandWriter`]
//! or [`Support`]. No extractor succeeds without a token that fits, and the brand is always the path's.

pub(crate) mod rate_limiter;
pub(crate) mod token;

use std::net::SocketAddr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use domain::ids::BrandId;
use store::api::brands;
use store::api::tokens::Token;
use store::api::tokens::{self, Digest, Role};

use crate::api::Api;
use crate::auth::rate_limiter::RateLimited;
use crate::auth::token::{MAX_TOKEN_CHARS, TOKEN_PREFIX, hash_token};
use crate::http::problem::{Problem, Result};
use crate::telemetry;

/// The owner of a valid token.
#[derive(Debug)]
pub(crate) enum AnyCaller {
    /// Support.
    Support,
    /// A brand, which sent this token.
    Brand(Token),
}

impl AnyCaller {
    /// The name of the caller in the audit.
    fn actor(&self) -> String {
        match self {
            Self::Support => "support".to_owned(),
            Self::Brand(token) => format!("token:{} {}", token.id, token.name),
        }
    }
}

/// A caller that may read the brand of the path.
#[derive(Debug)]
pub(crate) struct BrandReader {
    /// The brand of the path; it exists.
    pub(crate) brand: BrandId,
    /// Whether the caller is support, which also sees what the brand deleted.
    pub(crate) is_support: bool,
}

/// A caller that may change the brand of the path and read its secrets.
#[derive(Debug)]
pub(crate) struct BrandWriter {
    /// The brand of the path; it exists.
    pub(crate) brand: BrandId,
    /// The name of the caller in the audit.
    pub(crate) actor: String,
}

/// A caller with the support token.
#[derive(Debug)]
pub(crate) struct Support {
    /// The name of the caller in the audit.
    pub(crate) actor: String,
}

impl FromRequestParts<Api> for AnyCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        authenticate(parts, api).await
    }
}

impl FromRequestParts<Api> for BrandReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let caller = authenticate(parts, api).await?;
        let brand = authorize_brand(parts, api, &caller).await?;
        Ok(Self { brand, is_support: matches!(caller, AnyCaller::Support) })
    }
}

impl FromRequestParts<Api> for BrandWriter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let caller = authenticate(parts, api).await?;
        let brand = authorize_brand(parts, api, &caller).await?;
        if matches!(&caller, AnyCaller::Brand(token) if token.role < Role::Write) {
            return Err(Problem::forbidden(
                "this requires a token with the role write; this token has the role read",
            ));
        }
        Ok(Self { brand, actor: caller.actor() })
    }
}

impl FromRequestParts<Api> for Support {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        match authenticate(parts, api).await? {
            caller @ AnyCaller::Support => Ok(Self { actor: caller.actor() }),
            AnyCaller::Brand(_) => {
                Err(Problem::forbidden("this requires a support token; this token is a brand's"))
            }
        }
    }
}

async fn authenticate(parts: &Parts, api: &Api) -> Result<AnyCaller> {
    let token = bearer_token(&parts.headers)?;
    let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
    let digest = hash_token(token);
    let over_rate = |limited: RateLimited| {
        Problem::too_many_requests(
            "too many requests with this token; slow down",
            limited.retry_after_seconds,
        )
    };
    api.rate_limiter.check(peer, &digest).map_err(over_rate)?;
    if let Some(caller) = identify_caller(token, &digest, api).await? {
        api.rate_limiter.record_success(digest);
        return Ok(caller);
    }
    telemetry::record_wrong_token();
    api.rate_limiter.record_failure(peer, &digest).map_err(|limited| {
        Problem::too_many_requests("too many wrong tokens from this address", limited.retry_after_seconds)
    })?;
    Err(Problem::unauthorized("the token is not valid"))
}

async fn identify_caller(token: &str, digest: &Digest, api: &Api) -> Result<Option<AnyCaller>> {
    if api.support_token.matches(digest) {
        return Ok(Some(AnyCaller::Support));
    }
    if !token.starts_with(TOKEN_PREFIX) {
        return Ok(None);
    }
    Ok(tokens::find_token(&api.store, digest).await?.map(AnyCaller::Brand))
}

/// Reads the token of the request. Two `Authorization` headers are refused, because only one could be checked.
fn bearer_token(headers: &HeaderMap) -> Result<&str> {
    let missing = || Problem::unauthorized("send the header Authorization: Bearer <token>");
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > MAX_TOKEN_CHARS {
        return Err(missing());
    }
    Ok(token)
}

/// Returns the brand of the path if the caller may know of it. Any other brand is a 404, as if it did not exist.
async fn authorize_brand(parts: &mut Parts, api: &Api, caller: &AnyCaller) -> Result<BrandId> {
    let unknown = || Problem::not_found("there is no such brand");
    let params = RawPathParams::from_request_parts(parts, api).await.map_err(|_| unknown())?;
    let text = params.iter().find(|(name, _)| *name == "brandId").map(|(_, value)| value.to_owned());
    let brand: BrandId = text.and_then(|text| text.parse().ok()).ok_or_else(unknown)?;
    let visible = match caller {
        AnyCaller::Brand(token) => token.brand_id == brand,
        AnyCaller::Support => brands::find_brand(&api.store, &brand).await?.is_some(),
    };
    if visible { Ok(brand) } else { Err(unknown()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, StatusCode};

    #[test]
    fn exactly_one_bearer_token_is_accepted() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer_token(&headers).map(str::to_owned).map_err(|problem| problem.status())
        };
        assert_eq!(read(&["Bearer abc"]), Ok("abc".to_owned()));
        assert_eq!(read(&["bearer  abc"]), Ok("abc".to_owned()));
        for bad in [&[][..], &["abc"], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a", "Bearer b"]] {
            assert_eq!(read(bad), Err(StatusCode::UNAUTHORIZED), "{bad:?}");
        }
    }
}
