//! The one HTTP client: HTTPS only, no redirects, no proxy, guarded addresses, pooled connections.

use std::time::Duration;

use clap::{ArgAction, Args};
use domain::address::AllowedNetworks;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::delivery::address_guard::Guard;

/// How long an unused connection is kept. Just below the five seconds after which common servers
/// close theirs: a request that meets a closing connection would fail for nothing.
const IDLE: Duration = Duration::from_secs(4);
/// Connections kept for one host. Many webhooks may share one: what is beyond this is closed after each
/// request, and the handshake of the next costs several times what the request does.
const IDLE_PER_HOST: usize = 1000;
/// An HTTP/2 connection on which nothing came for this long is asked whether it lives, and given up when
/// it does not answer for as long: many requests share it, and none of their timeouts closes it.
const PROBE: Duration = Duration::from_secs(4);
/// What endpoints see us as (contract §3).
const USER_AGENT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));
/// Longest timeout that may be set.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(300);

/// How endpoints are called.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Requests")]
pub struct HttpSettings {
    /// Longest wait for a connection: name, TCP and TLS
    #[arg(long, env = "POSTRIDER_CONNECT_TIMEOUT", value_name = "SPAN", default_value = "5s", value_parser = timeout)]
    pub connect_timeout: Duration,
    /// Longest exchange, from the name to the end of the response body
    #[arg(long, env = "POSTRIDER_REQUEST_TIMEOUT", value_name = "SPAN", default_value = "15s", value_parser = timeout)]
    pub request_timeout: Duration,
    /// Networks (CIDRs, separated by commas) that may be called although they are not public; for development
    #[arg(long, env = "POSTRIDER_ALLOW_NETWORKS", value_name = "CIDRS", default_value = "")]
    pub allow_networks: AllowedNetworks,
    /// PEM file of further root certificates for endpoints
    #[arg(long, env = "POSTRIDER_EXTRA_CA_FILE", value_name = "FILE", default_value = "")]
    pub extra_ca_file: String,
    /// Whether endpoints are offered HTTP/2. Off, for one that floods it with informational headers costs 60 MiB
    /// of memory, three times what any costs over HTTP/1.1
    #[arg(long, env = "POSTRIDER_HTTP2", value_name = "BOOL", default_value_t = false, action = ArgAction::Set)]
    pub http2: bool,
}

fn timeout(text: &str) -> Result<Duration, String> {
    runtime::settings::duration_within(text, LONGEST_TIMEOUT)
}

/// The client cannot be built from the settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of further roots cannot be used.
    #[error("setting --extra-ca-file (POSTRIDER_EXTRA_CA_FILE) is not valid: {0}")]
    ExtraCa(String),
    /// TLS or HTTP could not be set up.
    #[error("the HTTP client could not be built: {0}")]
    Build(String),
}

/// The one client, and what it may call.
#[derive(Debug, Clone)]
pub struct Client {
    /// Checks the addresses of names by itself, of literal ones not: see [`Guard`].
    pub http: reqwest::Client,
    pub(crate) guard: Guard,
}

/// Builds the client.
///
/// # Errors
/// When the file of further roots cannot be read or holds no certificate.
pub fn build(settings: &HttpSettings) -> Result<Client, ClientError> {
    let guard = Guard(settings.allow_networks.clone());
    let built = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(settings)?)
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .dns_resolver(guard.clone())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http2_keep_alive_interval(PROBE)
        .http2_keep_alive_timeout(PROBE)
        .tcp_nodelay(true)
        .user_agent(USER_AGENT)
        .build();
    let http = built.map_err(|error| ClientError::Build(error.to_string()))?;
    Ok(Client { http, guard })
}

fn tls(settings: &HttpSettings) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if !settings.extra_ca_file.is_empty() {
        add_extra(&mut roots, settings)?;
    }
    // TLS 1.2 and 1.3 are all that rustls has.
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Build(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let offered: &[&str] = if settings.http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
    config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(config)
}

fn add_extra(roots: &mut RootCertStore, settings: &HttpSettings) -> Result<(), ClientError> {
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
