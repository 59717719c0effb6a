//! Builds the HTTP client: HTTPS only, no redirects, no proxy, guarded addresses, kept connections.

use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use domain::delivery::attempt::Facts;
use domain::ids::BrandId;
use domain::webhook::address::AllowedNetworks;
use http::HeaderMap;
pub use runtime::names::NameSettings;
use runtime::names::{LookupTimeouts, NameResolver};
use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use url::Url;

use crate::delivery::address_guard::AddressGuard;
use crate::delivery::connection::{Connector, ExplainingVerifier, HttpClient};
use crate::delivery::exchange;
use crate::delivery::exchange_trace::ExchangeTrace;
use crate::delivery::request::Request;

/// The header `User-Agent` of every request (contract §3).
pub(crate) const USER_AGENT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));
/// Share of the connect timeout that a lookup may take, so that TCP and TLS have time left, and a name that does not
/// resolve ends as `dns` and not as `timeout`.
const MAX_LOOKUP_SHARE: f64 = 0.8;
/// Longest timeout that may be configured.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// Settings of requests to endpoints.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Requests")]
pub struct HttpSettings {
    /// Longest wait for a connection: name, TCP and TLS
    #[arg(long, env = "POSTRIDER_CONNECT_TIMEOUT", value_name = "SPAN", default_value = "5s", value_parser = parse_timeout)]
    pub connect_timeout: Duration,
    /// Longest exchange, from the name to the end of the response body
    #[arg(long, env = "POSTRIDER_REQUEST_TIMEOUT", value_name = "SPAN", default_value = "15s", value_parser = parse_timeout)]
    pub request_timeout: Duration,
    /// Private networks (CIDRs, separated by commas) that may be called anyway; for development
    #[arg(long, env = "POSTRIDER_ALLOW_NETWORKS", value_name = "CIDRS", default_value = "")]
    pub allow_networks: AllowedNetworks,
    /// PEM file of further root certificates for endpoints
    #[arg(long, env = "POSTRIDER_EXTRA_CA_FILE", value_name = "FILE", default_value = "")]
    pub extra_ca_file: String,
    /// Whether endpoints are offered HTTP/2. Off by default, because an endpoint that floods it with informational headers
    /// costs 60 MiB of memory, three times as much as over HTTP/1.1
    #[arg(long, env = "POSTRIDER_HTTP2", value_name = "BOOL", default_value_t = false, action = ArgAction::Set)]
    pub http2: bool,
    /// Names of endpoints.
    #[command(flatten)]
    pub names: NameSettings,
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    runtime::settings::parse_duration_within(text, MAX_TIMEOUT)
}

/// An error of building the client from its settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of further root certificates is not valid.
    #[error("setting --extra-ca-file (POSTRIDER_EXTRA_CA_FILE) is not valid: {0}")]
    ExtraCa(String),
    /// TLS could not be set up.
    #[error("the HTTP client could not be built: {0}")]
    Build(String),
}

/// The HTTP client, and the addresses that it may call.
#[derive(Debug, Clone)]
pub struct Client {
    /// Checks the addresses of names, but not addresses in the URL itself; see `AddressGuard::check_host`.
    pub(crate) http: HttpClient,
    pub(crate) guard: AddressGuard,
}

impl Client {
    /// Posts a body as an attempt does, and returns the facts. Measurements use it.
    pub async fn post(
        &self,
        brand: BrandId,
        url: Url,
        headers: HeaderMap,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Facts {
        let trace = ExchangeTrace::default();
        exchange::send_request(self, Request { brand, url, headers, body }, timeout, &trace).await
    }
}

/// Builds the client, and starts its resolver and its pool in the background.
///
/// # Errors
/// When the file of further roots cannot be read or holds no certificate.
pub fn build(settings: &HttpSettings) -> Result<Client, ClientError> {
    let tls = tls_config(settings)?;
    let timeouts = LookupTimeouts::within(settings.connect_timeout.mul_f64(MAX_LOOKUP_SHARE));
    let names = NameResolver::start(&settings.names, timeouts);
    let guard = AddressGuard::new(settings.allow_networks.clone(), names);
    let http = HttpClient::new(Connector::new(tls, guard.clone(), settings.connect_timeout));
    Ok(Client { http, guard })
}

fn tls_config(settings: &HttpSettings) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if !settings.extra_ca_file.is_empty() {
        add_extra_roots(&mut roots, settings)?;
    }
    // rustls has TLS 1.2 and 1.3 only.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| ClientError::Build(error.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Build(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ExplainingVerifier(verifier)))
        .with_no_client_auth();
    let offered: &[&str] = if settings.http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
    config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(config)
}

fn add_extra_roots(roots: &mut RootCertStore, settings: &HttpSettings) -> Result<(), ClientError> {
    let invalid = |error: String| ClientError::ExtraCa(error);
    let certificates =
        CertificateDer::pem_file_iter(&settings.extra_ca_file).map_err(|e| invalid(e.to_string()))?;
    let mut added = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| invalid(e.to_string()))?;
        roots.add(certificate).map_err(|e| invalid(e.to_string()))?;
        added += 1;
    }
    if added == 0 { Err(invalid("it holds no certificate".to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn settings() -> HttpSettings {
        HttpSettings {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            allow_networks: "".parse().expect("no networks"),
            extra_ca_file: String::new(),
            http2: false,
            names: NameSettings::default(),
        }
    }

    #[test]
    fn http2_is_offered_only_if_it_is_enabled() {
        let offered = |http2| tls_config(&HttpSettings { http2, ..settings() }).expect("a configuration");
        assert_eq!(offered(false).alpn_protocols, [b"http/1.1".to_vec()]);
        assert_eq!(offered(true).alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_timeout_beyond_the_maximum_is_refused() {
        assert_eq!(parse_timeout("5m"), Ok(MAX_TIMEOUT));
        assert!(parse_timeout("301s").is_err());
    }

    #[test]
    fn a_file_of_roots_that_is_missing_or_empty_is_refused_by_the_name_of_its_setting() {
        let mut empty = std::env::temp_dir();
        empty.push(format!("postrider-empty-{}.pem", std::process::id()));
        std::fs::File::create(&empty).and_then(|mut file| file.write_all(b"no certificate")).expect("a file");
        for file in ["/does/not/exist.pem", empty.to_str().expect("UTF-8")] {
            let refused = build(&HttpSettings { extra_ca_file: file.to_owned(), ..settings() });
            let error = refused.expect_err("no certificate").to_string();
            assert!(error.contains("POSTRIDER_EXTRA_CA_FILE"), "{error}");
        }
        std::fs::remove_file(&empty).expect("it was there");
    }
}
