//! Says in words why TLS failed, and tells a self-signed certificate from one of an unknown authority.

use std::fmt;
use std::io;
use std::sync::Arc;

use domain::delivery::exchange::MAX_PROBLEM_BYTES;
use domain::text::truncate_text;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{AlertDescription, CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

/// A certificate that no authority signed, and that is no root of ours.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the certificate is self-signed")]
struct SelfSigned;

/// Verifies certificates like the verifier within, and names self-signed ones.
#[derive(Debug)]
pub(crate) struct ExplainingVerifier(pub(crate) Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for ExplainingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match error {
            // A self-signed certificate is often that of an authority, too, which the verifier refuses for another reason.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_),
            ) if is_self_signed(end_entity) => {
                CertificateError::Other(OtherError(Arc::new(SelfSigned))).into()
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Whether a certificate names itself as its issuer.
fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

/// Returns the text of an error of TLS. The library's text of a self-signed certificate names types of this program.
pub(crate) fn tls_error_text(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) if other.0.is::<SelfSigned>() => {
            format!("invalid peer certificate: {SelfSigned}")
        }
        other => other.to_string(),
    }
}

/// Returns why a handshake failed, in words for the owner of the endpoint.
pub(super) fn describe_tls_error(error: &io::Error) -> String {
    let words = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => describe_certificate(problem),
        Some(rustls::Error::InvalidMessage(_)) => "the endpoint does not speak TLS".to_owned(),
        Some(rustls::Error::AlertReceived(alert)) => describe_alert(*alert),
        Some(rustls::Error::PeerIncompatible(_)) => {
            "the endpoint supports neither TLS 1.2 nor TLS 1.3 with common algorithms".to_owned()
        }
        Some(other) => other.to_string(),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the endpoint closed the connection during the handshake".to_owned()
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "the endpoint reset the connection during the handshake".to_owned()
            }
            _ => error.to_string(),
        },
    };
    truncate_text(&words, MAX_PROBLEM_BYTES).into_owned()
}

fn describe_certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::Expired => "the certificate expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate expired on {}", Day(*not_after))
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", Day(*not_before))
        }
        CertificateError::NotValidForName => "the certificate was issued for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            describe_names(&expected.to_str(), presented)
        }
        CertificateError::UnknownIssuer => {
            "the certificate was issued by an unknown authority, or an intermediate certificate is missing"
                .to_owned()
        }
        CertificateError::Other(other) if other.0.is::<SelfSigned>() => SelfSigned.to_string(),
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        CertificateError::BadEncoding => "the certificate cannot be read".to_owned(),
        CertificateError::BadSignature => "the signature of the certificate is wrong".to_owned(),
        other => format!("the certificate is not valid: {other}"),
    }
}

/// Names the host, and the first of the names that the certificate has.
fn describe_names(expected: &str, presented: &[String]) -> String {
    /// Names that a text lists.
    const MAX_NAMES: usize = 5;
    if presented.is_empty() {
        return format!("the certificate names no host, and so not {expected}");
    }
    let names: Vec<&str> = presented.iter().take(MAX_NAMES).map(|name| plain_name(name)).collect();
    let more = if presented.len() > MAX_NAMES { " and others" } else { "" };
    format!("the certificate was issued for {}{more}, not for {expected}", names.join(", "))
}

/// Returns the name in `DnsName("example.com")`, as the verifier writes it.
fn plain_name(presented: &str) -> &str {
    presented.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map_or(presented, |(name, _)| name)
}

fn describe_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            "the endpoint refused the handshake: it supports neither TLS 1.2 nor TLS 1.3 with common algorithms".to_owned()
        }
        AlertDescription::UnrecognisedName => "the endpoint has no certificate for this name".to_owned(),
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate => {
            "the endpoint requires a certificate of the client".to_owned()
        }
        other => format!("the endpoint refused the handshake ({other:?})"),
    }
}

/// Writes an instant as a date in UTC.
struct Day(UnixTime);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).ok();
        match seconds.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0)) {
            Some(instant) => write!(f, "{}", instant.format("%Y-%m-%d")),
            None => f.write_str("an unknown day"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn described(error: impl Into<rustls::Error>) -> String {
        describe_tls_error(&io::Error::new(io::ErrorKind::InvalidData, error.into()))
    }

    fn day(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn a_problem_of_the_certificate_is_told_with_its_facts() {
        let name = |name: &str| ServerName::try_from(name.to_owned()).expect("a name");
        let other_name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: name("hooks.example"),
            presented: presented.iter().map(|name| format!("DnsName(\"{name}\")")).collect(),
        };
        let expired =
            CertificateError::ExpiredContext { time: day(1_800_000_000), not_after: day(1_420_070_400) };
        let early = CertificateError::NotValidYetContext { time: day(0), not_before: day(4_102_444_800) };
        for (problem, words) in [
            (expired, "the certificate expired on 2015-01-01"),
            (early, "the certificate is not valid before 2100-01-01"),
            (
                other_name(&["a.test", "*.b.test"]),
                "the certificate was issued for a.test, *.b.test, not for hooks.example",
            ),
            (other_name(&[]), "the certificate names no host, and so not hooks.example"),
            (CertificateError::Other(OtherError(Arc::new(SelfSigned))), "the certificate is self-signed"),
            (CertificateError::Revoked, "the certificate was revoked"),
        ] {
            assert_eq!(described(problem), words);
        }
        assert!(described(CertificateError::UnknownIssuer).contains("unknown authority"));
        assert!(described(other_name(&["x"; 9])).contains("x and others, not for"));
    }

    #[test]
    fn other_problems_of_the_handshake_are_told_without_codes() {
        let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(describe_tls_error(&eof), "the endpoint closed the connection during the handshake");
        let alert = described(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure));
        assert!(alert.contains("neither TLS 1.2 nor TLS 1.3"), "{alert}");
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert_eq!(described(plain), "the endpoint does not speak TLS");
    }

    #[test]
    fn a_text_is_no_longer_than_its_limit() {
        let presented = vec![format!("DnsName(\"{}\")", "n".repeat(250)); 5];
        let expected = ServerName::try_from("hooks.example").expect("a name");
        let words = described(CertificateError::NotValidForNameContext { expected, presented });
        assert!(words.len() <= MAX_PROBLEM_BYTES, "{}", words.len());
    }
}
