//! Records the resources of a test on the servers while it runs, so that the next test can remove them when
//! this one is killed. Otherwise a broker full of forgotten queues stops accepting connections.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::database::{self, TestDatabase};
use crate::rabbit::Rabbit;

/// Name of the record in the directory of a test.
const RECORD_FILE: &str = "leftovers.json";
/// Prefix of the directories of tests.
const DIRECTORY_PREFIX: &str = "postrider-e2e-";
/// How long the removal may take.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the removal of other tests' resources may hold up a test.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The resources of a platform on the servers.
#[derive(Debug)]
pub(crate) struct TestResources {
    pub(crate) amqp_url: String,
    pub(crate) namespace: String,
    pub(crate) database: TestDatabase,
    /// Queues and exchanges that only this platform has, such as `wait.5s`.
    pub(crate) names: Vec<String>,
}

/// The record of a running test; while it exists, others leave its resources alone.
#[derive(Debug)]
pub(crate) struct CleanupRecord {
    path: PathBuf,
    _lock: File,
}

/// Returns the directory of one test.
pub(crate) fn directory(unique: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{DIRECTORY_PREFIX}{unique}"))
}

impl TestResources {
    /// Writes the record into the directory of the test.
    ///
    /// # Panics
    /// When it cannot be written.
    pub(crate) fn write_record(&self, dir: &Path) -> CleanupRecord {
        let path = dir.join(RECORD_FILE);
        let record = || {
            let mut file = File::options().create(true).append(true).mode(0o600).open(&path)?;
            file.lock()?;
            file.write_all(self.to_json().to_string().as_bytes())?;
            Ok::<_, io::Error>(file)
        };
        let lock = record().expect("the record of the test's resources");
        CleanupRecord { path, _lock: lock }
    }

    fn to_json(&self) -> Value {
        json!({
            "amqpUrl": self.amqp_url, "namespace": self.namespace, "names": self.names,
            "adminUrl": self.database.admin_url(), "database": self.database.name(),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |field: &str| Some(value[field].as_str()?.to_owned());
        let names = value["names"].as_array()?.iter().filter_map(|name| Some(name.as_str()?.to_owned()));
        Some(Self {
            amqp_url: text("amqpUrl")?,
            namespace: text("namespace")?,
            database: TestDatabase::named(&text("adminUrl")?, &text("database")?),
            names: names.collect(),
        })
    }

    /// Removes all resources. A server that is gone has taken its part along.
    ///
    /// # Errors
    /// When a server hangs.
    pub(crate) async fn remove_all(&self) -> Result<(), tokio::time::error::Elapsed> {
        tokio::time::timeout(REMOVAL_TIMEOUT, async {
            let mut names = self.names.clone();
            if let Ok(client) = database::connect(&self.database.url()).await {
                let rows = client.query("SELECT id::text FROM webhooks", &[]).await.unwrap_or_default();
                names.extend(rows.iter().map(|row| format!("webhook.{}", row.get::<_, String>(0))));
                let rows =
                    client.query("SELECT brand_id::text FROM brand_backlogs", &[]).await.unwrap_or_default();
                names.extend(rows.iter().map(|row| format!("backlog.{}", row.get::<_, String>(0))));
            }
            if let Ok(rabbit) = Rabbit::connect(&self.amqp_url, &self.namespace).await {
                rabbit.remove_namespace(&names).await;
            }
            let _ = self.database.drop_database().await;
        })
        .await
    }
}

impl CleanupRecord {
    /// Deletes the record, because nothing is left.
    pub(crate) fn delete(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the resources of tests that were killed.
pub(crate) async fn remove_abandoned() {
    // The next test removes the rest.
    let _ = tokio::time::timeout(SWEEP_TIMEOUT, async {
        for directory in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
            let ours = directory.file_name().to_string_lossy().starts_with(DIRECTORY_PREFIX);
            let path = directory.path().join(RECORD_FILE);
            if let Some((resources, record)) = ours.then(|| find_abandoned(path)).flatten()
                && resources.remove_all().await.is_ok()
            {
                record.delete();
            }
        }
    })
    .await;
}

/// Returns the record at this path, if its process is gone.
fn find_abandoned(path: PathBuf) -> Option<(TestResources, CleanupRecord)> {
    let lock = File::open(&path).ok()?;
    lock.try_lock().ok()?;
    let resources = TestResources::from_json(&serde_json::from_str(&fs::read_to_string(&path).ok()?).ok()?)?;
    Some((resources, CleanupRecord { path, _lock: lock }))
}
