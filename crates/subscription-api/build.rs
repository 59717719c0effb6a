//! Lists the files of the console (`console/dist`, built by npm) so that they become part of the
//! binary. Without them the crate compiles all the same: `/console` then says how to build them. And
//! renders the pages of `/docs`.

#[path = "build/docs.rs"]
mod docs;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("console/dist");
    println!("cargo::rerun-if-changed=console/dist");
    let mut names = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, "", &mut names)?;
    }
    names.sort();
    let mut list = String::from("&[\n");
    for name in &names {
        let plain = included(&dist.join(name)).unwrap_or_default();
        let brotli = option(included(&dist.join(format!("{name}.br"))));
        let gzip = option(included(&dist.join(format!("{name}.gz"))));
        // Writing to a string cannot fail.
        let _ =
            writeln!(list, "    File {{ name: {name:?}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }},");
    }
    list.push(']');
    fs::write(PathBuf::from(variable("OUT_DIR")).join("console.rs"), list)?;
    docs::render(&PathBuf::from(variable("CARGO_MANIFEST_DIR")), &PathBuf::from(variable("OUT_DIR")))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// The names of the files at and below `dir`, without their compressed forms.
fn collect(dir: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{prefix}{name}/"), names)?;
        } else if !name.starts_with('.') && !name.ends_with(".br") && !name.ends_with(".gz") {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

fn included(path: &Path) -> Option<String> {
    path.is_file().then(|| format!("include_bytes!({:?})", path.display().to_string()))
}

fn option(code: Option<String>) -> String {
    code.map_or_else(|| "None".to_owned(), |code| format!("Some({code})"))
}
