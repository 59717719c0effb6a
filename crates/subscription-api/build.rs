//! Embeds the files of the console and renders the pages of `/docs`.
//!
//! npm builds the console into `console/dist`. Without these files the crate compiles, too; `/console` then says how
//! to build them.

#[path = "build/docs.rs"]
mod docs;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = PathBuf::from(read_variable("CARGO_MANIFEST_DIR")).join("console/dist");
    println!("cargo::rerun-if-changed=console/dist");
    let mut names = Vec::new();
    if dist.join("index.html").is_file() {
        collect_names(&dist, "", &mut names)?;
    }
    names.sort();
    let mut list = String::from("&[\n");
    for name in &names {
        let plain = include_code(&dist.join(name)).unwrap_or_default();
        let brotli = option_code(include_code(&dist.join(format!("{name}.br"))));
        let gzip = option_code(include_code(&dist.join(format!("{name}.gz"))));
        // Writing to a string cannot fail.
        let _ =
            writeln!(list, "    File {{ name: {name:?}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }},");
    }
    list.push(']');
    fs::write(PathBuf::from(read_variable("OUT_DIR")).join("console.rs"), list)?;
    docs::render_pages(
        &PathBuf::from(read_variable("CARGO_MANIFEST_DIR")),
        &PathBuf::from(read_variable("OUT_DIR")),
    )
}

fn read_variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// Collects the names of the files in `dir` and its subdirectories, except the compressed forms.
fn collect_names(dir: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            collect_names(&entry.path(), &format!("{prefix}{name}/"), names)?;
        } else if !name.starts_with('.') && !name.ends_with(".br") && !name.ends_with(".gz") {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

fn include_code(path: &Path) -> Option<String> {
    path.is_file().then(|| format!("include_bytes!({:?})", path.display().to_string()))
}

fn option_code(code: Option<String>) -> String {
    code.map_or_else(|| "None".to_owned(), |code| format!("Some({code})"))
}
