//! TLS to PostgreSQL, configured as in libpq: `sslmode`, `sslrootcert`, `sslcert` and `sslkey` in the
//! text of the connection
//! (PostgreSQL manual, "Database Connection Control Functions").

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::connection::url::Parameters;

/// PostgreSQL's protocol in ALPN.
const ALPN: &[u8] = b"postgresql";
/// The `sslrootcert` that stands for the roots that browsers trust.
const SYSTEM_ROOTS: &str = "system";

/// The verification of the server, by `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No TLS. The default of a URL without `sslmode`.
    Disable,
    /// TLS if the server offers it, without verification.
    Prefer,
    /// TLS without verification. It protects against passive eavesdropping only.
    Require,
    /// TLS, and the certificate is issued by a trusted root.
    VerifyCa,
    /// TLS, and the certificate is issued by a trusted root for this host.
    VerifyFull,
}

/// The TLS settings of a connection.
#[derive(Debug)]
pub(crate) struct TlsSettings {
    mode: Mode,
    roots: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    /// Whether TLS begins without asking the server first.
    direct: bool,
}

impl TlsSettings {
    /// Takes the TLS settings out of the parameters of a connection.
    pub(crate) fn take(parameters: &mut Parameters) -> Result<Self, String> {
        let asked = parameters.take("sslmode").map(|mode| parse_mode(&mode)).transpose()?;
        let mut file = |name| {
            let file = parameters.take(name);
            match file.as_deref() {
                Some("") => Err(format!("{name} is empty: name a file, or leave it out")),
                _ => Ok(file.map(PathBuf::from)),
            }
        };
        let roots = file("sslrootcert")?;
        let certificate = file("sslcert")?;
        let key = file("sslkey")?;
        if roots.as_deref() == Some(Path::new(SYSTEM_ROOTS)) {
            if asked.is_some_and(|mode| mode != Mode::VerifyFull) {
                return Err("sslrootcert=system needs sslmode=verify-full".to_owned());
            }
            return Ok(Self { mode: Mode::VerifyFull, roots: None, certificate, key, direct: false });
        }
        let mode = match asked {
            // As in libpq, a root certificate implies that the server is verified.
            Some(Mode::Require) if roots.is_some() => Mode::VerifyCa,
            Some(mode) => mode,
            None if roots.is_some() => Mode::VerifyFull,
            None if certificate.is_some() || key.is_some() => {
                return Err("sslcert and sslkey need an sslmode, such as verify-full".to_owned());
            }
            None => Mode::Disable,
        };
        Ok(Self { mode, roots, certificate, key, direct: false })
    }

    /// Sets whether TLS begins without asking the server first.
    pub(crate) fn set_direct(&mut self, direct: bool) {
        self.direct = direct;
    }

    /// Returns whether a connection without TLS is refused.
    pub(crate) fn is_required(&self) -> bool {
        self.negotiated_mode() == SslMode::Require
    }

    /// Returns the mode that the client negotiates with the server.
    pub(crate) fn negotiated_mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// Creates the TLS connector; `None` when TLS is disabled.
    pub(crate) fn create_connector(&self) -> Result<Option<MakeRustlsConnect>, String> {
        if self.mode == Mode::Disable {
            return Ok(None);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match self.mode {
            Mode::VerifyFull => builder.with_root_certificates(self.root_store()?),
            _ => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(self.lenient_verifier(provider)?)),
        };
        let mut config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = read_certificates(certificate, "sslcert")?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("sslkey: {error}"))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| format!("sslcert: {error}"))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err("sslcert and sslkey go together".to_owned()),
        };
        if self.direct {
            // PostgreSQL refuses direct TLS without its name in ALPN.
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        Ok(Some(MakeRustlsConnect::new(config)))
    }

    /// Returns the roots of `sslrootcert`, or else the roots that browsers trust.
    fn root_store(&self) -> Result<RootCertStore, String> {
        let Some(file) = &self.roots else {
            return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        };
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(file, "sslrootcert")? {
            roots.add(certificate).map_err(|error| format!("sslrootcert: {error}"))?;
        }
        Ok(roots)
    }

    fn lenient_verifier(&self, provider: Arc<CryptoProvider>) -> Result<LenientVerifier, String> {
        let chain = (self.mode == Mode::VerifyCa).then(|| {
            let roots = Arc::new(self.root_store()?);
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| format!("sslrootcert: {error}"))
        });
        Ok(LenientVerifier { chain: chain.transpose()?, provider })
    }
}

fn parse_mode(text: &str) -> Result<Mode, String> {
    Ok(match text {
        "disable" => Mode::Disable,
        "prefer" | "allow" => Mode::Prefer,
        "require" => Mode::Require,
        "verify-ca" => Mode::VerifyCa,
        "verify-full" => Mode::VerifyFull,
        _ => return Err("sslmode is disable, allow, prefer, require, verify-ca or verify-full".to_owned()),
    })
}

fn read_certificates(file: &PathBuf, parameter: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!("{parameter}: it holds no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{parameter}: {error}")),
    }
}

/// Verifies the certificate chain or nothing, but never the host name.
///
/// Signatures are always verified, so that the server must hold the key of its certificate.
#[derive(Debug)]
struct LenientVerifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for LenientVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // rustls verifies the chain before the name, so that this error implies a valid chain.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
