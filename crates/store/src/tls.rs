//! TLS to PostgreSQL, configured as in libpq: `sslmode`, `sslrootcert`, `sslcert` and `sslkey` in the URL
//! (PostgreSQL manual, "Database Connection Control Functions").

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

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

/// The TLS settings of a connection URL.
#[derive(Debug)]
pub(crate) struct TlsSettings {
    mode: Mode,
    roots: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl TlsSettings {
    /// Splits a connection URL into the URL without TLS settings, and the settings.
    pub(crate) fn split_off(text: &str) -> Result<(String, Self), String> {
        let mut settings = Self { mode: Mode::Disable, roots: None, certificate: None, key: None };
        let Ok(mut url) = Url::parse(text) else { return Ok((text.to_owned(), settings)) };
        let mut asked = None;
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut rest = Vec::new();
        for (name, value) in pairs {
            match name.as_str() {
                "sslmode" => asked = Some(parse_mode(&value)?),
                "sslrootcert" => settings.roots = Some(value.into()),
                "sslcert" => settings.certificate = Some(value.into()),
                "sslkey" => settings.key = Some(value.into()),
                _ => rest.push((name, value)),
            }
        }
        settings.mode = match asked {
            // As in libpq, a root certificate implies that the server is verified.
            Some(Mode::Require) if settings.roots.is_some() => Mode::VerifyCa,
            Some(mode) => mode,
            None if settings.roots.is_some() => Mode::VerifyFull,
            None => Mode::Disable,
        };
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest);
        }
        Ok((url.to_string(), settings))
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
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = read_certificates(certificate, "sslcert")?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("sslkey: {error}"))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| format!("sslcert: {error}"))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err("sslcert and sslkey go together".to_owned()),
        };
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
        _ => return Err("sslmode is one of disable, prefer, require, verify-ca, verify-full".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_off_removes_only_the_tls_settings_from_the_url() {
        let (rest, tls) = TlsSettings::split_off(
            "postgres://u:p@h:5432/db?sslmode=require&application_name=a%20b&sslcert=/c&sslkey=/k",
        )
        .expect("valid");
        assert_eq!(rest, "postgres://u:p@h:5432/db?application_name=a+b");
        assert_eq!((tls.mode, tls.negotiated_mode()), (Mode::Require, SslMode::Require));
        assert!(tls.certificate.is_some() && tls.key.is_some());
    }

    #[test]
    fn a_root_certificate_implies_verification() {
        let mode =
            |query| TlsSettings::split_off(&format!("postgres://h/db{query}")).map(|(_, tls)| tls.mode);
        assert_eq!(mode(""), Ok(Mode::Disable));
        assert_eq!(mode("?sslrootcert=/r"), Ok(Mode::VerifyFull));
        assert_eq!(mode("?sslmode=require&sslrootcert=/r"), Ok(Mode::VerifyCa));
        assert_eq!(mode("?sslmode=verify-full"), Ok(Mode::VerifyFull));
        assert!(mode("?sslmode=yes").is_err());
    }

    #[test]
    fn the_error_names_the_parameter_that_cannot_be_read() {
        let connector = |query| {
            let (_, tls) = TlsSettings::split_off(&format!("postgres://h/db?{query}")).expect("a URL");
            tls.create_connector()
                .map(|connector| connector.is_some())
                .map_err(|error| error.split(':').next().map(str::to_owned))
        };
        assert_eq!(connector("sslmode=disable"), Ok(false));
        assert_eq!(connector("sslmode=require"), Ok(true));
        assert_eq!(
            connector("sslmode=verify-full&sslrootcert=/nothing/there"),
            Err(Some("sslrootcert".to_owned()))
        );
        assert!(connector("sslmode=require&sslcert=/nothing/there").is_err());
    }
}
