//! Certificates of endpoints: any good path to a root counts, and without one the error says why (contract §3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::settings::unique_name;
use e2e::tls::Identity;
use e2e::wire_server::{WireReply, WireServer};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Stage;

/// A key that protects nothing, because rcgen cannot draw RSA keys.
const RSA_KEY: &str = include_str!("../src/rsa_key.b64");

/// The problem of a certificate without a path to a root.
const UNKNOWN: &str = "issued by an unknown authority";

/// Whether a certificate is valid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    Now,
    Past,
    Future,
}

/// A certificate authority of a chain.
struct Ca {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn limit(params: &mut CertificateParams, validity: Validity) {
    let (from, to) = match validity {
        Validity::Now => (2020, 2100),
        Validity::Past => (2010, 2015),
        Validity::Future => (2100, 2110),
    };
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
}

fn ca_params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    limit(&mut params, validity);
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

impl Ca {
    fn root(name: &str, validity: Validity) -> Self {
        let (params, key) = (ca_params(name, validity), new_key());
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// An authority of this name and key below another one.
    fn below(parent: &Self, name: &str, key: KeyPair, validity: Validity) -> Self {
        let params = ca_params(name, validity);
        let certificate = params.signed_by(&key, &parent.issuer).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// The authority's own certificate as the identity of a server.
    fn into_identity(self) -> Identity {
        Identity {
            chain: vec![self.certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.issuer.key().serialize_der())),
        }
    }

    /// A server's identity with this key and the certificates of these authorities.
    fn issue(&self, name: &str, key: &KeyPair, validity: Validity, chain: &[&Self]) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        limit(&mut params, validity);
        let leaf = params.signed_by(key, &self.issuer).expect("a certificate");
        let chain = [&leaf].into_iter().chain(chain.iter().map(|ca| &ca.certificate));
        Identity {
            chain: chain.map(|certificate| certificate.der().clone()).collect(),
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        }
    }
}

fn copy_of(key: &KeyPair) -> KeyPair {
    KeyPair::from_pem(&key.serialize_pem()).expect("the same key")
}

/// A server's identity that is its own authority.
fn self_signed(name: &str) -> Identity {
    let key = new_key();
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key).expect("a certificate");
    Identity {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    }
}

fn rsa_key() -> KeyPair {
    let der = STANDARD.decode(RSA_KEY.split_whitespace().collect::<String>()).expect("base64");
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_RSA_SHA256)
        .expect("an RSA key")
}

/// A server's certificates, and the reason why they are refused, if they are.
struct Case {
    about: &'static str,
    identity: Identity,
    /// Parts of the error and of the problem in words.
    refused: Option<(&'static str, &'static str)>,
}

/// Servers below `root`, which clients trust, and below `old`, which they trust although it has expired.
fn cases(root: &Ca, old: &Ca) -> Vec<Case> {
    let middle_key = new_key();
    let middle = Ca::below(root, "middle", copy_of(&middle_key), Validity::Now);
    let expired_middle = Ca::below(root, "middle", middle_key, Validity::Past);
    // The trusted root once more, signed by the expired one.
    let root_key = copy_of(root.issuer.key());
    let cross = Ca::below(old, "root", root_key, Validity::Now);
    let unknown = Ca::root("unknown", Validity::Now);
    let key = new_key();
    let leaf = |chain: &[&Ca]| middle.issue("localhost", &key, Validity::Now, chain);
    let case = |about, identity, refused| Case { about, identity, refused };
    let mut cases = vec![
        case("a whole chain", leaf(&[&middle]), None),
        case("a chain with its root", leaf(&[&middle, root]), None),
        case("a chain in the wrong order", leaf(&[root, &middle]), None),
        case("an expired cross-signed root beside a good path", leaf(&[&middle, &cross]), None),
        case("an expired cross-signed root first", leaf(&[&cross, &middle]), None),
        case("an expired twin of the intermediate first", leaf(&[&expired_middle, &middle]), None),
        case("no intermediate", leaf(&[]), Some(("UnknownIssuer", UNKNOWN))),
        case(
            "an expired intermediate alone",
            leaf(&[&expired_middle]),
            Some(("expired", "expired on 2015-01-01")),
        ),
        case(
            "below the root that is over",
            old.issue("localhost", &key, Validity::Past, &[]),
            Some(("expired", "expired on 2015-01-01")),
        ),
        case(
            "expired",
            root.issue("localhost", &key, Validity::Past, &[]),
            Some(("expired", "the certificate expired on 2015-01-01")),
        ),
        case(
            "not valid yet",
            root.issue("localhost", &key, Validity::Future, &[]),
            Some(("not valid yet", "the certificate is not valid before 2100-01-01")),
        ),
        case(
            "of another name",
            root.issue("example.com", &key, Validity::Now, &[]),
            Some(("not valid for name", "the certificate was issued for example.com, not for localhost")),
        ),
        case(
            "of an unknown root",
            unknown.issue("localhost", &key, Validity::Now, &[&unknown]),
            Some(("UnknownIssuer", UNKNOWN)),
        ),
        case(
            "self-signed",
            self_signed("localhost"),
            Some(("self-signed", "the certificate is self-signed")),
        ),
        case(
            "the certificate of an authority",
            Ca::root("localhost", Validity::Now).into_identity(),
            Some(("self-signed", "the certificate is self-signed")),
        ),
    ];
    for (about, algorithm) in
        [("P-256", &PKCS_ECDSA_P256_SHA256), ("P-384", &PKCS_ECDSA_P384_SHA384), ("Ed25519", &PKCS_ED25519)]
    {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        cases.push(case(about, root.issue("localhost", &key, Validity::Now, &[]), None));
    }
    cases.push(case("RSA", root.issue("localhost", &rsa_key(), Validity::Now, &[]), None));
    cases
}

#[tokio::test]
async fn a_good_path_to_a_root_counts_and_without_one_the_error_says_why() {
    let root = Ca::root("root", Validity::Now);
    let old = Ca::root("old", Validity::Past);
    let file = std::env::temp_dir().join(format!("postrider-roots-{}.pem", unique_name()));
    std::fs::write(&file, root.certificate.pem() + &old.certificate.pem()).expect("the file of roots");
    let builder = Platform::builder().retries("10m").without_health_rule();
    let stage =
        Stage::with_builder(builder.set("POSTRIDER_EXTRA_CA_FILE", &file.display().to_string())).await;
    std::fs::remove_file(&file).expect("the deliverer has read it");
    let mut wrong = Vec::new();
    for Case { about, identity, refused } in cases(&root, &old) {
        let server = WireServer::start_as(&identity, |_| WireReply::ok()).await;
        let webhook = stage.brand.create_webhook(&server.url(), &[SMS]).await;
        let event = Event::sms("acme");
        stage.publish_event(&event).await;
        let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
        let exchange = stage.brand.read_exchange(&webhook, event.id(), &attempt).await;
        let tls = &exchange["tls"];
        let fits = match refused {
            None => {
                attempt["outcome"] == "delivered" && tls["version"] == "TLS 1.3" && tls["problem"].is_null()
            }
            Some((reason, words)) => {
                let error = attempt["error"].as_str().unwrap_or_default();
                let problem = tls["problem"].as_str().unwrap_or_default();
                let is_told = error.contains(reason) && problem.contains(words) && tls["version"].is_null();
                let is_refused = attempt["outcome"] == "tls" && server.requests().is_empty();
                is_told && is_refused && exchange["request"]["sent"] == false
            }
        };
        if !fits {
            wrong.push(format!("{about}: {exchange}"));
        }
        stage.brand.delete_webhook(&webhook).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
