//! The two kinds of tokens: the support token of the settings and the brands' tokens.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use store::api::tokens::Digest;
use subtle::ConstantTimeEq;

/// Prefix of every brand token, so that scanners for leaked secrets recognize one.
pub(crate) const TOKEN_PREFIX: &str = "prt_";
/// Random bytes of a brand token.
const TOKEN_BYTES: usize = 32;
/// Shortest support token, in characters (contract §7).
const MIN_SUPPORT_TOKEN_CHARS: usize = 32;
/// Longest token that is checked, in characters.
pub(crate) const MAX_TOKEN_CHARS: usize = 1024;

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

/// Generates a brand token: the text, which is shown once, and the digest, which is stored.
#[must_use]
pub(crate) fn generate_token() -> (String, Digest) {
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>()));
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
        let (token, digest) = generate_token();
        assert!(token.starts_with("prt_") && token.len() == 47);
        assert_eq!(digest, hash_token(&token));
        assert_ne!(generate_token().0, token);
    }
}
