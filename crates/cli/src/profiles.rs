//! Profiles: the API's URL, a token and a brand under a name, in a file of the user.
//!
//! The file holds tokens, so that only its owner may read it, and it is replaced whole, so that a process that dies
//! while it writes leaves the old one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::Error;
use crate::output::print_notice;

/// Name of a profile for which no name is given.
pub(crate) const DEFAULT_PROFILE: &str = "default";
/// Bytes of the file that are read: thousands of profiles.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Longest name of a profile, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Where a user's requests go, and with which token. Its `Debug` hides the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    #[serde(with = "url_text")]
    pub(crate) url: Url,
    pub(crate) token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) brand: Option<String>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("url", &self.url).field("brand", &self.brand).finish_non_exhaustive()
    }
}

/// Writes and reads a URL as text.
mod url_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The content of the file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profiles {
    /// Name of the profile that is used unless another one is given.
    #[serde(default)]
    pub(crate) current: Option<String>,
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// The file with the profiles.
#[derive(Debug)]
pub(crate) struct ProfileFile(PathBuf);

impl ProfileFile {
    /// Finds the file in the user's directory of settings. `None` if the user has no home.
    pub(crate) fn locate() -> Option<Self> {
        locate_in(std::env::var_os("XDG_CONFIG_HOME"), std::env::var_os("HOME")).map(Self)
    }

    /// Finds the file, to write it.
    pub(crate) fn require() -> Result<Self, Error> {
        let no_home = || Error::Usage("profiles need a home: set HOME or XDG_CONFIG_HOME".to_owned());
        Self::locate().ok_or_else(no_home)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the profiles. There are none without the file.
    pub(crate) fn load(&self) -> Result<Profiles, Error> {
        let unusable = |error: &dyn fmt::Display| Error::Usage(format!("{}: {error}", self.0.display()));
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Profiles::default()),
            Err(error) => return Err(unusable(&error)),
        };
        let mode = file.metadata().map_err(|error| unusable(&error))?.permissions().mode();
        if mode & 0o077 != 0 {
            let path = self.0.display();
            print_notice(&format!("warning: others may read the tokens in {path}; run chmod 600 {path}"));
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|error| unusable(&error))?;
        // The message of the parser may quote the text, which holds tokens.
        serde_json::from_str(&text).map_err(|error| {
            unusable(&format!("not the JSON of this tool, in line {}; see postrider login", error.line()))
        })
    }

    /// Replaces the profiles.
    pub(crate) fn save(&self, profiles: &Profiles) -> Result<(), Error> {
        let unusable = |error: io::Error| Error::Usage(format!("{}: {error}", self.0.display()));
        let text = serde_json::to_string_pretty(profiles).map_err(|error| Error::Usage(error.to_string()))?;
        if let Some(directory) = self.0.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)?;
        }
        let new = self.0.with_extension(format!("new-{}", std::process::id()));
        let written = write_private(&new, &text).and_then(|()| std::fs::rename(&new, &self.0));
        if written.is_err() {
            // The error of the write is the one to report.
            let _ = std::fs::remove_file(&new);
        }
        written.map_err(unusable)
    }
}

impl Profiles {
    /// Finds a profile by name, or the current one.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<Option<&Profile>, Error> {
        let Some(name) = name else {
            return Ok(self.current.as_ref().and_then(|name| self.profiles.get(name)));
        };
        let known = || self.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let unknown = || match known().as_str() {
            "" => format!("there is no profile {name}; create it with postrider login --profile {name}"),
            known => format!("there is no profile {name}; there are {known}"),
        };
        self.profiles.get(name).map(Some).ok_or_else(|| Error::Usage(unknown()))
    }
}

/// Name of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProfileName(String);

impl ProfileName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProfileName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let fits = (1..=MAX_NAME_CHARS).contains(&text.len()) && text.chars().all(allowed);
        if fits { Ok(Self(text.to_owned())) } else { Err("a name is 1 to 64 of A-Z a-z 0-9 _ - .") }
    }
}

fn locate_in(config: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    // A relative directory counts as not set (XDG Base Directory Specification).
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute(config).or_else(|| Some(absolute(home)?.join(".config")))?;
    Some(config.join("postrider").join("profiles.json"))
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // The file of a process that died may have this name.
    let _ = std::fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(token: &str) -> Profile {
        Profile { url: "https://example.com".parse().expect("a URL"), token: token.to_owned(), brand: None }
    }

    fn file() -> (PathBuf, ProfileFile) {
        let directory = std::env::temp_dir().join(format!("postrider-profiles-{}", uuid::Uuid::new_v4()));
        let file = ProfileFile(directory.join("postrider").join("profiles.json"));
        (directory, file)
    }

    #[test]
    fn saved_profiles_are_loaded_and_private() {
        let (directory, file) = file();
        assert_eq!(file.load().expect("no file yet"), Profiles::default());
        let mut profiles = Profiles { current: Some("a".to_owned()), ..Profiles::default() };
        for token in ["prt_1", "prt_2"] {
            profiles.profiles.insert("a".to_owned(), profile(token));
            file.save(&profiles).expect("saved");
            assert_eq!(file.load().expect("loaded"), profiles);
        }
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(&directory.join("postrider")), 0o700);
        let left = std::fs::read_dir(directory.join("postrider")).expect("a directory").count();
        assert_eq!(left, 1, "no temporary file stays");
        std::fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn a_broken_file_is_reported_without_its_content() {
        let (directory, file) = file();
        std::fs::create_dir_all(directory.join("postrider")).expect("a directory");
        std::fs::write(file.path(), r#"{"profiles":{"a":{"token":"prt_hush""#).expect("a file");
        let error = file.load().expect_err("it is broken").to_string();
        assert!(error.contains("profiles.json") && !error.contains("hush"), "{error}");
        std::fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn the_file_is_in_the_users_directory_of_settings() {
        let found = |config: Option<&str>, home: Option<&str>| {
            let text = |value: Option<&str>| value.map(OsString::from);
            locate_in(text(config), text(home)).map(|path| path.display().to_string())
        };
        assert_eq!(found(Some("/c"), Some("/h")).as_deref(), Some("/c/postrider/profiles.json"));
        assert_eq!(found(Some("c"), Some("/h")).as_deref(), Some("/h/.config/postrider/profiles.json"));
        assert_eq!(found(None, None), None);
    }

    #[test]
    fn a_profile_is_found_by_name_or_is_the_current_one() {
        let mut profiles = Profiles::default();
        assert!(profiles.find(None).expect("no error").is_none());
        profiles.profiles.insert("eu".to_owned(), profile("prt_1"));
        profiles.current = Some("eu".to_owned());
        assert_eq!(profiles.find(None).expect("no error"), Some(&profile("prt_1")));
        let error = profiles.find(Some("us")).expect_err("unknown").to_string();
        assert_eq!(error, "there is no profile us; there are eu");
        assert!(!format!("{:?}", profile("prt_hush")).contains("hush"));
        for bad in ["", "a b", "a/b", &"a".repeat(65)] {
            assert!(bad.parse::<ProfileName>().is_err(), "{bad}");
        }
    }
}
