//! Authentication and authorization: `Authorization: Bearer <token>`.
//!
//! A handler states what it requires by the extractor that it takes: [`AnyCaller`], [`BrandReader`], [`BrandWriter`]
//! or [`Support`]. No extractor succeeds without a token that fits, and the brand is always the path's.

mod expiring_map;
pub(crate) mod rate_limiter;
pub(crate) mod request_cost;
pub(crate) mod token;
pub(crate) mod token_directory;
pub(crate) mod token_uses;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use domain::ids::{BrandId, WebhookId};
use domain::time::Timestamp;
use runtime::http_server::ClientAddress;
use store::AuditedTransaction;
use store::api::audit::SUPPORT;
use store::api::brands;
use store::api::support_tokens::{self, NamedSupportToken};
use store::api::tokens::{self, Digest, Role, Token};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::request_cost::{Cost, route_cost};
use crate::auth::token::{MAX_TOKEN_CHARS, TokenKind, hash_token};
use crate::auth::token_directory::ValidToken;
use crate::budget::{Owner, RequestBudget};
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::security_log::{AccessRecord, Caller};
use crate::telemetry::{self, Refused};

/// The owner of a valid token.
#[derive(Debug)]
pub(crate) enum AnyCaller {
    /// Support, with this named token or with the token of the settings.
    Support(Option<NamedSupportToken>),
    /// A brand, which sent this token.
    Brand(Token),
}

impl AnyCaller {
    /// The name of the caller in the audit.
    fn actor(&self) -> String {
        match self {
            Self::Support(None) => SUPPORT.to_owned(),
            Self::Support(Some(token)) => format!("{SUPPORT}:{} {}", token.id, token.name),
            Self::Brand(token) => format!("token:{} {}", token.id, token.name),
        }
    }

    fn token(&self) -> CallerToken {
        match self {
            Self::Support(None) => CallerToken::Settings,
            Self::Support(Some(token)) => CallerToken::Support(token.id, token.expires),
            Self::Brand(token) => CallerToken::Brand(token.id, token.expires),
        }
    }
}

/// The token of a caller, with its id and when it stops being valid.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CallerToken {
    /// The support token of the settings.
    Settings,
    /// A named token of support.
    Support(Uuid, Option<Timestamp>),
    /// A token of a brand.
    Brand(Uuid, Option<Timestamp>),
}

impl CallerToken {
    /// Keeps the token from being deleted until the transaction ends.
    ///
    /// A request may take its time until its body has arrived. Without the lock, its token could be deleted meanwhile, and
    /// what it creates would outlive it unseen.
    ///
    /// # Errors
    /// 401 when it was deleted or has expired.
    pub(crate) async fn lock(self, change: &AuditedTransaction<'_>) -> Result<()> {
        let is_valid = match self {
            Self::Settings => true,
            Self::Support(id, _) => support_tokens::lock_valid(change, id).await?,
            Self::Brand(id, _) => tokens::lock_valid(change, id).await?,
        };
        if is_valid { Ok(()) } else { Err(token_not_valid()) }
    }
}

/// A caller that may read the brand of the path.
#[derive(Debug)]
pub(crate) struct BrandReader {
    /// The brand of the path; it exists.
    pub(crate) brand: BrandId,
    /// Whether the caller is support, which also sees what the brand deleted.
    pub(crate) is_support: bool,
    /// The token and the budget of the request.
    pub(crate) charge: Charge,
}

/// A caller that may change the brand of the path and read its secrets.
#[derive(Debug)]
pub(crate) struct BrandWriter {
    /// The brand of the path; it exists.
    pub(crate) brand: BrandId,
    /// The name of the caller in the audit.
    pub(crate) actor: String,
    /// The token of the caller.
    pub(crate) token: CallerToken,
    /// The token and the budget of the request.
    pub(crate) charge: Charge,
}

/// The token and the budget of a request, for what only its handler knows.
#[derive(Debug)]
pub(crate) struct Charge {
    token: Digest,
    budget: RequestBudget,
    access: AccessRecord,
}

impl Charge {
    /// Leaves the share of the brand and waits for the brand's turn to publish, which ends when the permit is dropped.
    ///
    /// # Errors
    /// 429 when other requests of the brand publish for too long.
    pub(crate) async fn begin_publishing(&self) -> Result<Option<OwnedSemaphorePermit>> {
        self.budget.begin_publishing().await
    }

    /// Enters the share of the brand again, before using a connection to PostgreSQL.
    ///
    /// # Errors
    /// 429 when other requests of the brand are in flight for too long.
    pub(crate) async fn enter_share_again(&self) -> Result<()> {
        self.budget.enter_again().await
    }

    /// Leaves the share of the brand before a wait that needs no connection to PostgreSQL.
    pub(crate) fn leave_share(&self) {
        self.budget.leave();
    }

    /// Notes for the security log that the request reads the secret of a webhook.
    pub(crate) fn record_secret_read(&self, webhook: WebhookId) {
        self.access.set_secret_of(webhook);
    }

    /// Spends a further cost, if there is one.
    ///
    /// # Errors
    /// 429 when the token is over its rate.
    pub(crate) fn spend(&self, api: &Api, surcharge: Option<Cost>) -> Result<()> {
        surcharge.map_or(Ok(()), |cost| spend(api, &self.token, cost))
    }
}

/// A caller with a token of support.
#[derive(Debug)]
pub(crate) struct Support {
    /// The name of the caller in the audit.
    pub(crate) actor: String,
    /// The token of the caller.
    pub(crate) token: CallerToken,
}

impl FromRequestParts<Api> for AnyCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        Ok(authenticate(parts, api).await?.0)
    }
}

impl FromRequestParts<Api> for BrandReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let (caller, charge) = authenticate(parts, api).await?;
        let brand = authorize_brand(parts, api, &caller).await?;
        Ok(Self { brand, is_support: matches!(caller, AnyCaller::Support(_)), charge })
    }
}

impl FromRequestParts<Api> for BrandWriter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let (caller, charge) = authenticate(parts, api).await?;
        let brand = authorize_brand(parts, api, &caller).await?;
        if matches!(&caller, AnyCaller::Brand(token) if token.role < Role::Write) {
            return Err(Problem::forbidden(
                "this requires a token with the role write; this token has the role read",
            ));
        }
        Ok(Self { brand, actor: caller.actor(), token: caller.token(), charge })
    }
}

impl FromRequestParts<Api> for Support {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        match authenticate(parts, api).await?.0 {
            caller @ AnyCaller::Support(_) => Ok(Self { actor: caller.actor(), token: caller.token() }),
            AnyCaller::Brand(_) => {
                Err(Problem::forbidden("this requires a support token; this token is a brand's")
                    .of_kind(ProblemKind::SupportRequired))
            }
        }
    }
}

/// Identifies the caller, charges its token, and enters the share of its brand.
///
/// Up to here a request holds nothing of the connections that all brands share.
async fn authenticate(parts: &Parts, api: &Api) -> Result<(AnyCaller, Charge)> {
    let token = bearer_token(&parts.headers)?;
    let digest = hash_token(token);
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let cost = route_cost(&parts.method, route);
    let access = AccessRecord::of(&parts.extensions);
    let client = parts.extensions.get::<ClientAddress>().copied();
    let Some(caller) = identify_caller(token, &digest, cost, client, api, &access).await? else {
        telemetry::record_wrong_token();
        return Err(token_not_valid());
    };
    let owner = match &caller {
        AnyCaller::Support(_) => Owner::Support,
        AnyCaller::Brand(token) => Owner::Brand(token.brand_id.clone()),
    };
    let budget = RequestBudget::of(&parts.extensions);
    budget.enter(api.budgets.share(owner)).await?;
    Ok((caller, Charge { token: digest, budget, access }))
}

fn token_not_valid() -> Problem {
    Problem::unauthorized("the token is not valid")
}

/// Finds the owner of a token, which is charged as soon as the token is known to be valid.
///
/// Only valid tokens are charged, so that wrong tokens take no memory. A known token over its rate is not looked up.
async fn identify_caller(
    token: &str,
    digest: &Digest,
    cost: Cost,
    client: Option<ClientAddress>,
    api: &Api,
    access: &AccessRecord,
) -> Result<Option<AnyCaller>> {
    if api.support_token.matches(digest) {
        access.set_caller(Caller::Support);
        spend(api, digest, cost)?;
        return Ok(Some(AnyCaller::Support(None)));
    }
    let Some(kind) = TokenKind::of(token) else { return Ok(None) };
    let known = api.tokens.find_known(digest);
    if let Some(id) = known {
        access.set_caller(match kind {
            TokenKind::Brand => Caller::Token(id),
            TokenKind::Support => Caller::NamedSupport(id),
        });
        spend(api, digest, cost)?;
    }
    let found = api.tokens.find(kind, digest, client).await?;
    access.set_caller(match &found {
        None => Caller::Unknown,
        Some(ValidToken::Brand(token)) => Caller::Token(token.id),
        Some(ValidToken::Support(token)) => Caller::NamedSupport(token.id),
    });
    if found.is_some() && known.is_none() {
        spend(api, digest, cost)?;
    }
    Ok(found.map(|token| match token {
        ValidToken::Brand(token) => AnyCaller::Brand(token),
        ValidToken::Support(token) => AnyCaller::Support(Some(token)),
    }))
}

fn spend(api: &Api, digest: &Digest, cost: Cost) -> Result<()> {
    api.rate_limiter.spend(digest, cost).map_err(|limited| {
        telemetry::record_refused(Refused::TokenRate);
        Problem::too_many_requests(
            "too many requests with this token; slow down",
            limited.retry_after_seconds,
        )
    })
}

/// Reads the token of the request. Two `Authorization` headers are refused, because only one could be checked.
fn bearer_token(headers: &HeaderMap) -> Result<&str> {
    let missing = || Problem::new(ProblemKind::TokenMissing, "send the header Authorization: Bearer <token>");
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
        AnyCaller::Support(_) => brands::find_brand(&api.store, &brand).await?.is_some(),
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
