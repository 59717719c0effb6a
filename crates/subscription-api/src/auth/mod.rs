//! Who asks, and what they may: `Authorization: Bearer <token>`.
//!
//! A handler says what it needs by what it takes: [`BrandReader`], [`BrandWriter`] or [`Support`].
//! None of them can be had without a token that fits, and the brand is always the path's.

pub mod rate_limiter;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::BrandId;
use sha2::{Digest as _, Sha256};
use store::tokens::{self, Digest, Role};
use store::{brands, tokens::Token};
use subtle::ConstantTimeEq;

use crate::api::Api;
use crate::auth::rate_limiter::RateLimited;
use crate::http::problem::{Problem, Result};
use crate::telemetry;

/// What every brand token begins with, so that scanners for leaked secrets know one.
const TOKEN_PREFIX: &str = "prt_";
/// Random bytes of a brand token.
const TOKEN_BYTES: usize = 32;
/// Shortest support token, in characters (contract §7).
const MIN_SUPPORT_TOKEN_CHARS: usize = 32;
/// Longest token that is looked at, in characters.
const MAX_TOKEN_CHARS: usize = 1024;

/// The support token of the settings, of which only the SHA-256 is kept; perhaps none.
#[derive(Clone)]
pub struct SupportToken(Option<Digest>);

impl SupportToken {
    /// Compares in constant time.
    fn matches(&self, sha256: &Digest) -> bool {
        self.0.is_some_and(|own| own.ct_eq(sha256).into())
    }
}

impl FromStr for SupportToken {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        if text.len() < MIN_SUPPORT_TOKEN_CHARS
            || text.len() > MAX_TOKEN_CHARS
            || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(format!(
                "it must have at least {MIN_SUPPORT_TOKEN_CHARS} visible ASCII characters; draw one with: openssl rand -base64 32"
            ));
        }
        Ok(Self(Some(hash_token(text))))
    }
}

impl fmt::Debug for SupportToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SupportToken(…)")
    }
}

/// A new brand token: the text to be shown once, and what is stored of it.
#[must_use]
pub fn generate_token() -> (String, Digest) {
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>()));
    let digest = hash_token(&token);
    (token, digest)
}

fn hash_token(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// A caller that was let in.
enum Caller {
    Support,
    Brand(Token),
}

impl Caller {
    /// Who it is, for the audit.
    fn actor(&self) -> String {
        match self {
            Self::Support => "support".to_owned(),
            Self::Brand(token) => format!("token:{} {}", token.id, token.name),
        }
    }
}

/// Whoever has a token that is valid.
#[derive(Debug)]
pub enum AnyCaller {
    /// Support.
    Support,
    /// A brand, with this token of its.
    Brand(Token),
}

/// A caller that may look at the brand of the path.
#[derive(Debug)]
pub struct BrandReader {
    /// The brand of the path; it is there.
    pub brand: BrandId,
    /// Whether it is support, which also sees what the brand deleted.
    pub is_support: bool,
}

/// A caller that may change the brand of the path, and see its secrets.
#[derive(Debug)]
pub struct BrandWriter {
    /// The brand of the path; it is there.
    pub brand: BrandId,
    /// Who it is, for the audit.
    pub actor: String,
}

/// A caller with a support token.
#[derive(Debug)]
pub struct Support {
    /// Who it is, for the audit.
    pub actor: String,
}

impl FromRequestParts<Api> for AnyCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        Ok(match authenticate(parts, api).await? {
            Caller::Support => Self::Support,
            Caller::Brand(token) => Self::Brand(token),
        })
    }
}

impl FromRequestParts<Api> for BrandReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let caller = authenticate(parts, api).await?;
        let brand = authorize_brand(parts, api, &caller).await?;
        Ok(Self { brand, is_support: matches!(caller, Caller::Support) })
    }
}

impl FromRequestParts<Api> for BrandWriter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let caller = authenticate(parts, api).await?;
        let brand = authorize_brand(parts, api, &caller).await?;
        if matches!(&caller, Caller::Brand(token) if token.role < Role::Write) {
            return Err(Problem::forbidden("this takes a token with the role write; this one has read"));
        }
        Ok(Self { brand, actor: caller.actor() })
    }
}

impl FromRequestParts<Api> for Support {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        match authenticate(parts, api).await? {
            caller @ Caller::Support => Ok(Self { actor: caller.actor() }),
            Caller::Brand(_) => Err(Problem::forbidden("this takes a support token; this one is a brand's")),
        }
    }
}

async fn authenticate(parts: &Parts, api: &Api) -> Result<Caller> {
    let token = bearer_token(&parts.headers)?;
    let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
    let digest = hash_token(token);
    let over_rate = |refused: RateLimited| {
        Problem::too_many_requests(
            "too many requests with this token; slow down",
            refused.retry_after_seconds,
        )
    };
    api.rate_limiter.check(peer, &digest).map_err(over_rate)?;
    if let Some(caller) = identify(token, &digest, api).await? {
        api.rate_limiter.record_success(digest);
        return Ok(caller);
    }
    telemetry::record_wrong_token();
    api.rate_limiter.record_failure(peer, &digest).map_err(|refused| {
        Problem::too_many_requests("too many wrong tokens from this address", refused.retry_after_seconds)
    })?;
    Err(Problem::unauthorized("the token is not valid"))
}

async fn identify(token: &str, digest: &Digest, api: &Api) -> Result<Option<Caller>> {
    if api.support_token.matches(digest) {
        return Ok(Some(Caller::Support));
    }
    if !token.starts_with(TOKEN_PREFIX) {
        return Ok(None);
    }
    Ok(tokens::find(&api.store, digest).await?.map(Caller::Brand))
}

/// The token of the request.
fn bearer_token(headers: &HeaderMap) -> Result<&str> {
    let missing = || Problem::unauthorized("send the header Authorization: Bearer <token>");
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(missing()) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > MAX_TOKEN_CHARS {
        return Err(missing());
    }
    Ok(token)
}

/// The brand of the path, if the caller may know of it: another brand is as if it did not exist.
async fn authorize_brand(parts: &mut Parts, api: &Api, caller: &Caller) -> Result<BrandId> {
    let unknown = || Problem::not_found("there is no such brand");
    let params = RawPathParams::from_request_parts(parts, api).await.map_err(|_| unknown())?;
    let text = params.iter().find(|(name, _)| *name == "brandId").map(|(_, value)| value.to_owned());
    let brand: BrandId = text.and_then(|text| text.parse().ok()).ok_or_else(unknown)?;
    let there = match caller {
        Caller::Brand(token) => token.brand_id == brand,
        Caller::Support => brands::find(&api.store, &brand).await?.is_some(),
    };
    if there { Ok(brand) } else { Err(unknown()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, StatusCode};

    #[test]
    fn a_support_token_is_long_or_not_there() {
        assert!("".parse::<SupportToken>().expect("unset").0.is_none());
        assert!("x".repeat(31).parse::<SupportToken>().is_err());
        assert!(format!("{} x", "x".repeat(32)).parse::<SupportToken>().is_err());
        let token: SupportToken = "x".repeat(32).parse().expect("long enough");
        assert!(token.matches(&hash_token(&"x".repeat(32))) && !token.matches(&hash_token(&"x".repeat(33))));
        assert!(!"".parse::<SupportToken>().expect("unset").matches(&hash_token("")));
        assert_eq!(format!("{token:?}"), "SupportToken(…)");
    }

    #[test]
    fn tokens_are_drawn_afresh_and_fit_their_digest() {
        let (token, digest) = generate_token();
        assert!(token.starts_with("prt_") && token.len() == 47);
        assert_eq!(digest, hash_token(&token));
        assert_ne!(generate_token().0, token);
    }

    #[test]
    fn only_one_bearer_token_is_taken() {
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
