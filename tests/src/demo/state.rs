//! The directory that the parts of the demo share.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ulid::Ulid;

use super::error::DemoError;
use super::record::Record;
use crate::tls::{Authority, Identity, PemIdentity};

/// Maximum size of the log of requests, in bytes; then it starts again.
const MAX_LOG_BYTES: u64 = 8 * 1024 * 1024;

/// The state of a demo.
#[derive(Debug, Clone)]
pub struct State(PathBuf);

impl State {
    /// Opens the state in this directory, which is created if it does not exist.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir.join("received"))?;
        Ok(Self(dir.to_owned()))
    }

    /// Creates the authority and the certificate, unless they exist, and returns the path of `ca.pem`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn ensure_certificates(&self) -> io::Result<PathBuf> {
        let ca = self.0.join("ca.pem");
        if !ca.is_file() {
            let authority = Authority::generate();
            let identity = authority.issue();
            self.write_file("key.pem", identity.key.as_bytes())?;
            self.write_file("cert.pem", identity.certificate.as_bytes())?;
            // Written last, so that all files exist once it does.
            self.write_file("ca.pem", authority.pem().as_bytes())?;
        }
        Ok(ca)
    }

    /// Reads the receiver's certificate and private key.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn read_identity(&self) -> Result<Identity, DemoError> {
        self.ensure_certificates()?;
        let read = |name: &str| fs::read_to_string(self.0.join(name));
        Ok(PemIdentity { certificate: read("cert.pem")?, key: read("key.pem")? }.read()?)
    }

    /// Reads the webhook's secret, or returns why there is none yet.
    pub(super) fn read_secret(&self) -> Result<String, String> {
        let path = self.0.join("secret");
        let secret =
            fs::read_to_string(&path).map_err(|e| format!("the secret in {}: {e}", path.display()))?;
        Ok(secret.trim().to_owned())
    }

    /// Writes a request to the files.
    pub(super) fn append_record(&self, record: &Record) -> io::Result<()> {
        let log = self.0.join("requests.log");
        let too_long = fs::metadata(&log).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES);
        let mut options = fs::File::options();
        let mut file = options.create(true).write(true).append(!too_long).truncate(too_long).open(&log)?;
        writeln!(file, "── {}\n{}", chrono::Utc::now().to_rfc3339(), record.text)?;
        self.write_file("last-request.txt", record.text.as_bytes())?;
        match record.verified.as_deref().and_then(event_file) {
            Some(name) => self.write_file(&name, record.text.as_bytes()),
            None => Ok(()),
        }
    }

    /// Reads the verified request with this event, if it has arrived.
    ///
    /// # Errors
    /// When the id is not a ULID, or the file cannot be read.
    pub fn read_received(&self, event_id: &str) -> Result<Option<String>, DemoError> {
        let name = event_file(event_id).ok_or_else(|| format!("{event_id:?} is not a ULID"))?;
        match fs::read_to_string(self.0.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the last request, verified or not.
    #[must_use]
    pub fn last_request(&self) -> Option<String> {
        fs::read_to_string(self.0.join("last-request.txt")).ok()
    }

    /// Writes a file atomically, so that readers see the old or the new content.
    fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.0.join(format!("{}.tmp", Ulid::generate()));
        let mut file = fs::File::options().create_new(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(temporary, self.0.join(name))
    }
}

/// Returns the file name of a verified event, which only a ULID can have.
fn event_file(id: &str) -> Option<String> {
    id.parse::<Ulid>().ok().map(|id| format!("received/{id}.txt"))
}
