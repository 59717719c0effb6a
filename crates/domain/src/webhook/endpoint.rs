//! An endpoint: the HTTPS URL that a webhook's requests go to (contract §4, §6).
//!
//! Two texts are kept. The one that was given is what the API shows, unchanged; the one that the
//! WHATWG URL rules make of it is what is called. Spellings where the two would be different
//! requests to different readers (stripped line breaks, backslashes, missing slashes, an empty
//! user name) are refused.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, ParseError, Url};

use super::address::{self, AllowedNetworks, Forbidden};
use crate::limits::ENDPOINT_CHARS;

/// Largest number of characters of a host name, without a trailing dot (RFC 1035 §2.3.4).
const HOST_CHARS: usize = 253;
/// Largest number of characters of one label of a host name (RFC 1035 §2.3.4).
const LABEL_CHARS: usize = 63;

/// Why a text is not taken as an endpoint, and what to give instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Longer than [`ENDPOINT_CHARS`].
    #[error("must be at most {ENDPOINT_CHARS} characters long")]
    TooLong,
    /// White space or control characters, which URL parsers drop or rewrite silently.
    #[error(
        "must not contain white space or control characters: remove them, or percent-encode them in the path"
    )]
    Unprintable,
    /// A backslash, which some URL parsers read as a slash and others do not.
    #[error("must not contain a backslash: write / between segments, or %5C for the character itself")]
    Backslash,
    /// The scheme is `http`.
    #[error("must be an https:// URL: endpoints must support the HTTPS protocol, plain HTTP is not called")]
    PlainHttp,
    /// The text begins with no scheme, with another one, or without the two slashes.
    #[error("must begin with https:// followed by a host, such as https://example.com/hook")]
    NotHttps,
    /// A user name or password, even an empty one.
    #[error(
        "must not contain user info: remove what stands before the @, and send credentials in a custom header"
    )]
    UserInfo,
    /// A fragment, even an empty one.
    #[error("must not contain a fragment: remove the # and what follows it, it would never be sent")]
    Fragment,
    /// The port is 0, above 65535, or no number.
    #[error("must have a port from 1 to 65535, or none for 443")]
    Port,
    /// The host looks like an address and is none, or carries a zone id.
    #[error("must have a valid host, but this one is a malformed IP address: correct it, or use a host name")]
    HostAddress,
    /// The host is no DNS name.
    #[error(
        "must have a valid DNS name as its host: labels of 1 to 63 letters, digits, - and _, 253 characters at most"
    )]
    HostName,
    /// The URL is not well-formed for another reason.
    #[error("must be a well-formed URL, such as https://example.com/hook")]
    Malformed,
    /// The host is `localhost` or lies under it (RFC 6761 §6.3).
    #[error("must have a public host, but {0} is the machine itself (RFC 6761)")]
    Localhost(String),
    /// The host is an address that is never called (contract §6).
    #[error("must have a public host, but {0}")]
    Forbidden(Forbidden),
}

impl From<ParseError> for EndpointError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::EmptyHost => Self::NotHttps,
            ParseError::InvalidPort => Self::Port,
            ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address => Self::HostAddress,
            ParseError::IdnaError | ParseError::InvalidDomainCharacter => Self::HostName,
            _ => Self::Malformed,
        }
    }
}

/// A well-formed endpoint: `https`, a host, no user info, no fragment, [`ENDPOINT_CHARS`] at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    given: String,
    url: Url,
}

impl Endpoint {
    /// Reads what an API user gives: the form, and a host that is no forbidden address in any
    /// spelling. What a name resolves to is the caller's to check, with [`address::check_all`].
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn parse(text: &str, allowed: &AllowedNetworks) -> Result<Self, EndpointError> {
        let endpoint = Self::from_stored(text)?;
        endpoint.check_host(allowed)?;
        Ok(endpoint)
    }

    /// Reads what was stored: the form alone, since every connection checks the address again.
    ///
    /// # Errors
    /// The first rule of form that `text` breaks.
    pub fn from_stored(text: &str) -> Result<Self, EndpointError> {
        check_characters(text)?;
        check_start(text)?;
        let url = Url::parse(text)?;
        check_parts(&url)?;
        Ok(Self { given: text.to_owned(), url })
    }

    /// The text as it was given: what the API shows and the store keeps.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// The normalised URL: what is called.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The normalised host: an address, or a DNS name in lower-case ASCII, perhaps with a trailing
    /// dot.
    #[must_use]
    pub fn host(&self) -> Host<&str> {
        // `check_parts` let no URL without a host in; no empty name resolves either.
        self.url.host().unwrap_or(Host::Domain(""))
    }

    /// The port that is called, 443 unless the URL says otherwise.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(443)
    }

    /// The address, when the host is one and not a name.
    #[must_use]
    pub fn literal_ip(&self) -> Option<IpAddr> {
        match self.host() {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    fn check_host(&self, allowed: &AllowedNetworks) -> Result<(), EndpointError> {
        if let Some(literal) = self.literal_ip() {
            return address::check(literal, allowed).map_err(EndpointError::Forbidden);
        }
        match self.host() {
            Host::Domain(name) if is_localhost(name) && !opens_loopback(allowed) => {
                Err(EndpointError::Localhost(name.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

/// What may not stand anywhere in the text.
fn check_characters(text: &str) -> Result<(), EndpointError> {
    if text.chars().nth(ENDPOINT_CHARS).is_some() {
        return Err(EndpointError::TooLong);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(EndpointError::Unprintable);
    }
    if text.contains('\\') {
        return Err(EndpointError::Backslash);
    }
    Ok(())
}

/// The scheme and the authority, on the text itself: the parser would mend or drop too much.
fn check_start(text: &str) -> Result<(), EndpointError> {
    let (scheme, rest) = text.split_once(':').ok_or(EndpointError::NotHttps)?;
    if scheme.eq_ignore_ascii_case("http") {
        return Err(EndpointError::PlainHttp);
    }
    let rest = rest.strip_prefix("//").filter(|_| scheme.eq_ignore_ascii_case("https"));
    let authority = rest.ok_or(EndpointError::NotHttps)?.split(['/', '?', '#']).next().unwrap_or("");
    match authority {
        "" => Err(EndpointError::NotHttps),
        with_user if with_user.contains('@') => Err(EndpointError::UserInfo),
        _ => Ok(()),
    }
}

/// What the parsed URL may not have.
fn check_parts(url: &Url) -> Result<(), EndpointError> {
    if url.fragment().is_some() {
        return Err(EndpointError::Fragment);
    }
    if url.port() == Some(0) {
        return Err(EndpointError::Port);
    }
    match url.host() {
        None => Err(EndpointError::NotHttps),
        Some(Host::Domain(name)) if !is_dns_name(name) => Err(EndpointError::HostName),
        Some(_) => Ok(()),
    }
}

/// Whether `name`, which the parser has put in lower-case ASCII, could be in the DNS.
fn is_dns_name(name: &str) -> bool {
    let relative = without_root(name);
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |l: &str| (1..=LABEL_CHARS).contains(&l.len()) && l.bytes().all(letter);
    relative.len() <= HOST_CHARS && relative.split('.').all(label)
}

fn is_localhost(name: &str) -> bool {
    let relative = without_root(name);
    relative == "localhost" || relative.ends_with(".localhost")
}

/// `example.com.` without the dot that stands for the root of the DNS.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn opens_loopback(allowed: &AllowedNetworks) -> bool {
    allowed.contains(Ipv4Addr::LOCALHOST.into()) || allowed.contains(Ipv6Addr::LOCALHOST.into())
}
