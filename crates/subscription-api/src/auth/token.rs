//! The kinds of tokens: the support token of the settings, the named tokens of support and the brands' tokens.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use store::api::tokens::Digest;
use subtle::ConstantTimeEq;

/// Prefix of every brand token, so that scanners for leaked secrets recognize one.
const BRAND_PREFIX: &str = "prt_";
/// Prefix of every named support token.
const SUPPORT_PREFIX: &str = "prs_";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// Shortest support token, in characters (contract §7).
const MIN_SUPPORT_TOKEN_CHARS: usize = 32;
/// Longest token that is checked, in characters.
pub(crate) const MAX_TOKEN_CHARS: usize = 1024;

/// The kind of a token that the database has. The prefix of the token tells it, so that each kind is looked up in its own
/// table: no token of a brand can be found among those of support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A token of a brand.
    Brand,
    /// A named token of support.
    Support,
}

impl TokenKind {
    /// Returns the kind of a token, unless no token begins like this.
    pub(crate) fn of(token: &str) -> Option<Self> {
        [Self::Brand, Self::Support].into_iter().find(|kind| token.starts_with(kind.prefix()))
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Brand => BRAND_PREFIX,
            Self::Support => SUPPORT_PREFIX,
        }
    }
}

/// The support token of the settings, or none. Only its SHA-256 is kept.
#[derive(Clone)]
pub struct SupportToken(Option<Digest>);

impl SupportToken {
    /// Compares in constant time.
    pub(crate) fn matches(&self, sha256: &Digest) -> bool {
        self.0.is_some_and(|own| own.ct_eq(sha256).into())
    }
}

impl FromStr for SupportToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
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

/// Generates a token: the text, which is shown once, and the digest, which is stored.
#[must_use]
pub(crate) fn generate_token(kind: TokenKind) -> (String, Digest) {
    let token = format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>()));
    let digest = hash_token(&token);
    (token, digest)
}

/// The SHA-256 of a token, by which tokens are looked up and compared.
pub(crate) fn hash_token(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_support_token_is_long_or_unset() {
        assert!("".parse::<SupportToken>().expect("unset").0.is_none());
        assert!("x".repeat(31).parse::<SupportToken>().is_err());
        assert!(format!("{} x", "x".repeat(32)).parse::<SupportToken>().is_err());
        let token: SupportToken = "x".repeat(32).parse().expect("long enough");
        assert!(token.matches(&hash_token(&"x".repeat(32))) && !token.matches(&hash_token(&"x".repeat(33))));
        assert!(!"".parse::<SupportToken>().expect("unset").matches(&hash_token("")));
        assert_eq!(format!("{token:?}"), "SupportToken(…)");
    }

    #[test]
    fn generated_tokens_differ_and_match_their_digest() {
        for (kind, prefix) in [(TokenKind::Brand, "prt_"), (TokenKind::Support, "prs_")] {
            let (token, digest) = generate_token(kind);
            assert!(token.starts_with(prefix) && token.len() == 47);
            assert_eq!((digest, TokenKind::of(&token)), (hash_token(&token), Some(kind)));
            assert_ne!(generate_token(kind).0, token);
        }
        assert_eq!(TokenKind::of("pr"), None);
    }
}
