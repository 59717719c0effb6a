//! An endpoint: the HTTPS URL that a webhook's requests go to (contract §4, §6).
//!
//! An endpoint keeps two texts: the text that the user wrote, which the API shows unchanged, and the URL normalised
//! according to the WHATWG rules, which the deliverer calls. Spellings that other URL parsers may read differently
//! (line breaks, backslashes, missing slashes, an empty user name) are rejected, so that both texts mean the same
//! request.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls_pki_types::ServerName;
use url::{Host, ParseError, Url};

use super::address::{self, AllowedNetworks, Forbidden};
use crate::limits::MAX_ENDPOINT_CHARS;

/// Maximum length of a host name without the trailing dot (RFC 1035 §2.3.4).
const MAX_HOST_CHARS: usize = 253;
/// Endings of names in private networks: mDNS and Kubernetes (RFC 6762), ICANN's reservation of `.internal` (2024), home
/// networks (RFC 8375), and names that are not in the DNS at all (RFC 7686, RFC 9476).
const PRIVATE_ENDINGS: [&str; 5] = [".local", ".internal", ".home.arpa", ".onion", ".alt"];
/// Maximum length of one label of a host name (RFC 1035 §2.3.4).
const MAX_LABEL_CHARS: usize = 63;

/// A reason to reject a text as an endpoint; the message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The text is longer than [`MAX_ENDPOINT_CHARS`].
    #[error("must be at most {MAX_ENDPOINT_CHARS} characters long")]
    TooLong,
    /// The text contains white space or control characters, which URL parsers remove or rewrite silently.
    #[error(
        "must not contain white space or control characters: remove them, or percent-encode them in the path"
    )]
    Unprintable,
    /// The text contains a backslash, which only some URL parsers read as a slash.
    #[error("must not contain a backslash: write / between segments, or %5C for the character itself")]
    Backslash,
    /// The scheme is `http`.
    #[error("must be an https:// URL: endpoints must support the HTTPS protocol, plain HTTP is not called")]
    PlainHttp,
    /// The scheme or the two slashes after it are missing, or it is another scheme.
    #[error("must begin with https:// followed by a host, such as https://example.com/hook")]
    NotHttps,
    /// The text contains a user name or password, even an empty one.
    #[error(
        "must not contain user info: remove what stands before the @, and send credentials in a custom header"
    )]
    UserInfo,
    /// The text contains a fragment, even an empty one.
    #[error("must not contain a fragment: remove the # and what follows it, it would never be sent")]
    Fragment,
    /// The port is 0, above 65535, or not a number.
    #[error("must have a port from 1 to 65535, or none for 443")]
    Port,
    /// The host looks like an IP address but is malformed, or it has a zone id.
    #[error("must have a valid host, but this one is a malformed IP address: correct it, or use a host name")]
    HostAddress,
    /// The host is not a valid DNS name.
    #[error(
        "must have a valid DNS name as its host: labels of 1 to 63 letters, digits, - and _, 253 characters at most"
    )]
    HostName,
    /// TLS cannot name the host, so that no connection to it can be made.
    #[error(
        "must have a host that can be called: no label may begin or end with -, and a name with a trailing dot may have 253 characters at most"
    )]
    HostUncallable,
    /// The URL is not well-formed for another reason.
    #[error("must be a well-formed URL, such as https://example.com/hook")]
    Malformed,
    /// The host is a name that only the resolvers of a private network know ([`is_private_name`]).
    #[error(
        "must have a public host, but {0} is a name of a private network: it has no dot or a reserved ending"
    )]
    PrivateName(String),
    /// The host is `localhost` or lies under it (RFC 6761 §6.3).
    #[error("must have a public host, but {0} is the machine itself (RFC 6761)")]
    Localhost(String),
    /// The host is a forbidden address (contract §6).
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

/// Replaces the query of an endpoint by a placeholder, because it may be a credential.
#[must_use]
pub fn hide_query(endpoint: &str) -> Cow<'_, str> {
    match endpoint.split_once('?') {
        Some((before, _)) => Cow::Owned(format!("{before}?(hidden)")),
        None => Cow::Borrowed(endpoint),
    }
}

/// A well-formed endpoint URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    given: String,
    url: Url,
}

impl Endpoint {
    /// Parses a text from an API user: checks its form, and that the host is no forbidden address in any spelling.
    ///
    /// The caller resolves a DNS name and checks the result with [`address::check_addresses`].
    ///
    /// # Errors
    /// The first rule that `text` violates.
    pub fn parse(text: &str, allowed: &AllowedNetworks) -> Result<Self, EndpointError> {
        let endpoint = Self::from_stored(text)?;
        endpoint.check_host(allowed)?;
        Ok(endpoint)
    }

    /// Parses a stored text; checks only its form, because every connection checks the address again.
    ///
    /// # Errors
    /// The first rule about form that `text` violates.
    pub fn from_stored(text: &str) -> Result<Self, EndpointError> {
        check_characters(text)?;
        check_start(text)?;
        let url = Url::parse(text)?;
        check_parts(&url)?;
        Ok(Self { given: text.to_owned(), url })
    }

    /// Returns the original text, for the API and the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// Returns the normalised URL, for requests.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the normalised host: an address, or a DNS name in lower-case ASCII, possibly with a trailing dot.
    #[must_use]
    pub fn host(&self) -> Host<&str> {
        // Unreachable, because `check_parts` rejects a URL without a host. An empty name does not resolve.
        self.url.host().unwrap_or(Host::Domain(""))
    }

    /// Returns the port, which is 443 unless the URL contains another one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(443)
    }

    /// Returns the IP address if the host is one and not a DNS name.
    #[must_use]
    pub fn literal_ip(&self) -> Option<IpAddr> {
        match self.host() {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    fn check_host(&self, allowed: &AllowedNetworks) -> Result<(), EndpointError> {
        if server_name(&self.url).is_none() {
            return Err(EndpointError::HostUncallable);
        }
        if let Some(literal) = self.literal_ip() {
            return address::check_address(literal, allowed).map_err(EndpointError::Forbidden);
        }
        match self.host() {
            Host::Domain(name) if is_localhost(name) && !opens_loopback(allowed) => {
                Err(EndpointError::Localhost(name.to_owned()))
            }
            Host::Domain(name) if is_private_name(name) && allowed.is_empty() => {
                Err(EndpointError::PrivateName(name.to_owned()))
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

/// Returns the host of a URL as TLS names it; `None` if TLS cannot name it.
///
/// A stored endpoint may have such a host, because earlier versions accepted it.
#[must_use]
pub fn server_name(url: &Url) -> Option<ServerName<'static>> {
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).ok(),
        Host::Ipv4(address) => Some(IpAddr::V4(address).into()),
        Host::Ipv6(address) => Some(IpAddr::V6(address).into()),
    }
}

/// Checks the length and the characters of the text.
fn check_characters(text: &str) -> Result<(), EndpointError> {
    if text.chars().nth(MAX_ENDPOINT_CHARS).is_some() {
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

/// Checks the scheme and the authority in the text itself.
///
/// The URL parser cannot check them, because it would repair or remove too much.
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

/// Checks the fragment, the port and the host of the parsed URL.
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

/// Returns whether `name`, which the parser converted to lower-case ASCII, is a valid DNS name.
fn is_dns_name(name: &str) -> bool {
    let relative = without_root(name);
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |l: &str| (1..=MAX_LABEL_CHARS).contains(&l.len()) && l.bytes().all(letter);
    relative.len() <= MAX_HOST_CHARS && relative.split('.').all(label)
}

fn is_localhost(name: &str) -> bool {
    let relative = without_root(name);
    relative == "localhost" || relative.ends_with(".localhost")
}

/// Returns whether only the resolvers of a private network can know a host name: it has one label, such as `postgres`, or
/// an ending that the public DNS never delegates, such as `api.default.svc.cluster.local`.
///
/// Nothing is looked up for it unless an operator opened networks, because the look-up alone would tell whether the
/// operator's network has the name.
#[must_use]
pub fn is_private_name(name: &str) -> bool {
    let relative = without_root(name);
    !relative.contains('.') || PRIVATE_ENDINGS.iter().any(|ending| relative.ends_with(ending))
}

/// Removes the trailing dot, which stands for the root of the DNS.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn opens_loopback(allowed: &AllowedNetworks) -> bool {
    allowed.contains(Ipv4Addr::LOCALHOST.into()) || allowed.contains(Ipv6Addr::LOCALHOST.into())
}
