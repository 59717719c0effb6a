//! A certificate authority for tests, and certificates of servers and clients from it.

use std::path::Path;
use std::sync::{Arc, Once};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Installs the cryptography provider of this process, once.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// A certificate chain and its private key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
}

/// An [`Identity`] as PEM text.
#[derive(Debug)]
pub struct PemIdentity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl PemIdentity {
    /// Parses it.
    ///
    /// # Errors
    /// When it is not PEM.
    pub fn read(&self) -> Result<Identity, rustls::pki_types::pem::Error> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<_, _>>()?;
        Ok(Identity { chain, key: PrivateKeyDer::from_pem_slice(self.key.as_bytes())? })
    }
}

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Creates an authority.
    #[must_use]
    pub fn generate() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "Postrider test authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Returns the root certificate as PEM, for `POSTRIDER_EXTRA_CA_FILE`.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes the root certificate to a file.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, &self.pem).expect("the file of the test authority");
    }

    /// Issues an identity for `localhost`, 127.0.0.1 and the test name `hooks.test`, as PEM.
    #[must_use]
    pub fn issue(&self) -> PemIdentity {
        self.issue_server(&["localhost", "127.0.0.1", "hooks.test"])
    }

    /// Issues an identity for a server with these names and addresses, as PEM.
    #[must_use]
    pub fn issue_server(&self, names: &[&str]) -> PemIdentity {
        self.sign(names, names[0], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Issues an identity for a client of this name, as PEM.
    #[must_use]
    pub fn issue_client(&self, name: &str) -> PemIdentity {
        self.sign(&[], name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, names: &[&str], name: &str, usage: ExtendedKeyUsagePurpose) -> PemIdentity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        PemIdentity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Issues an identity for `localhost` and 127.0.0.1.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.issue().read().expect("a generated identity")
    }
}

/// Returns the server side of TLS with this identity, offering these protocols (`h2`, `http/1.1`).
#[must_use]
pub fn server_config(identity: &Identity, alpn: &[&str]) -> Arc<ServerConfig> {
    install_crypto();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .expect("a certificate that fits its key");
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}
