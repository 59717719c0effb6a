//! The binaries of the services under test.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The command to run when a service is missing or older than its source.
const BUILD: &str = "cargo build --workspace --bins";

/// Returns the path of a service's binary, in `E2E_BIN_DIR` if set, otherwise where cargo put it beside this
/// test.
///
/// # Panics
/// When it is missing, or (unless `E2E_BIN_DIR` chose it) older than its source, because a test of
/// yesterday's binary proves nothing.
#[must_use]
pub fn binary_path(service: &str) -> PathBuf {
    if let Some(dir) = std::env::var_os("E2E_BIN_DIR") {
        let path = PathBuf::from(dir).join(service);
        assert!(path.is_file(), "{} is not there (E2E_BIN_DIR)", path.display());
        return path;
    }
    let path = target_dir().join(service);
    assert!(path.is_file(), "{} is not there; run: {BUILD}", path.display());
    if let Some(source) = newer_source(&path) {
        panic!("{} is older than {}; run: {BUILD}", path.display(), source.display());
    }
    path
}

/// Returns `target/<profile>`; test binaries are in its `deps`.
fn target_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let deps = test.parent().expect("a directory");
    if deps.ends_with("deps") { deps.parent().expect("target").to_owned() } else { deps.to_owned() }
}

/// Finds a source file that changed after the binary was linked, using cargo's list beside the binary.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let linked = modified_time(binary)?;
    let list = std::fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    sources
        .split_whitespace()
        .map(PathBuf::from)
        .find(|source| modified_time(source).is_some_and(|at| at > linked))
}

fn modified_time(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}
