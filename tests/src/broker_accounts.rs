//! The accounts of RabbitMQ as operators get them from `deploy/rabbitmq/accounts`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::secret_scan;
use crate::settings::unique_name;

/// The script under test.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rabbitmq/accounts");

/// The accounts of one namespace. Their directory is removed with this value.
#[derive(Debug)]
pub struct BrokerAccounts {
    namespace: String,
    dir: PathBuf,
    definitions: Value,
}

impl BrokerAccounts {
    /// Runs the script, which draws the passwords in a directory of its own.
    ///
    /// # Panics
    /// When the script fails or writes no JSON.
    #[must_use]
    pub fn draw(namespace: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("postrider-e2e-accounts-{}", unique_name()));
        let output = Command::new(SCRIPT).arg(&dir).arg(namespace).output().expect("the script");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read(dir.join("definitions.json")).expect("the definitions");
        let definitions = serde_json::from_slice(&text).expect("JSON");
        Self { namespace: namespace.to_owned(), dir, definitions }
    }

    /// Returns the file with the definitions.
    #[must_use]
    pub fn definitions_file(&self) -> PathBuf {
        self.dir.join("definitions.json")
    }

    /// Returns the name that RabbitMQ knows the account by.
    #[must_use]
    pub fn user(&self, account: &str) -> String {
        format!("{}-{account}", self.namespace)
    }

    /// Returns its password, which the search for secrets knows from now on.
    ///
    /// # Panics
    /// When there is no such account.
    #[must_use]
    pub fn password(&self, account: &str) -> String {
        let file = self.dir.join(format!("{account}.password"));
        let password = std::fs::read_to_string(file).expect("an account");
        secret_scan::add_secret(&password);
        password
    }

    /// Returns the regular expressions for configure, write and read.
    ///
    /// # Panics
    /// When there is no such account.
    #[must_use]
    pub fn permissions(&self, account: &str) -> [String; 3] {
        let user = self.user(account);
        let all = self.definitions["permissions"].as_array().expect("permissions");
        let own = all.iter().find(|one| one["user"] == *user).expect("an account");
        ["configure", "write", "read"].map(|kind| own[kind].as_str().expect("a pattern").to_owned())
    }
}

impl Drop for BrokerAccounts {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
