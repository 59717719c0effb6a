//! Runs the tool with pipes or on a pseudo-terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;

use crate::fake_api::FakeApi;

/// Token of the tests.
pub(crate) const TOKEN: &str = "prt_token_of_the_tests";

/// Prepares the tool without an environment.
pub(crate) fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// Prepares the tool for a fake API.
pub(crate) fn tool(api: &FakeApi, args: &[&str]) -> Command {
    let mut command = bare(args);
    command.env("POSTRIDER_URL", &api.url).env("POSTRIDER_TOKEN", TOKEN);
    command
}

/// Runs the tool, which must succeed, and returns its output.
pub(crate) fn text(api: &FakeApi, args: &[&str]) -> String {
    let output = tool(api, args).output().expect("it runs");
    assert!(output.status.success(), "postrider {args:?}: {}", error_of(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Runs the tool, which must succeed, and returns its JSON.
pub(crate) fn json(api: &FakeApi, args: &[&str]) -> Value {
    serde_json::from_str(&text(api, &[args, &["-o", "json"]].concat())).expect("JSON")
}

/// Runs the tool, which must fail with this status, and returns its message.
pub(crate) fn failure(api: &FakeApi, args: &[&str], status: i32) -> String {
    let output = tool(api, args).output().expect("it runs");
    assert_eq!(output.status.code(), Some(status), "postrider {args:?}: {}", error_of(&output));
    assert!(output.stdout.is_empty(), "postrider {args:?}");
    error_of(&output)
}

/// Runs the tool with this text on its standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // The tool may have ended before it reads.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

/// Returns the text of the standard error.
pub(crate) fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the tool on a terminal of this width. Once `prompt` is shown, `input` is typed.
pub(crate) fn on_terminal(
    command: &mut Command,
    columns: u16,
    dialog: Option<(&str, &str)>,
) -> (String, ExitStatus) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("it may be used");
    unlockpt(&master).expect("it may be opened");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let name = name.into_string().expect("text");
    let terminal = File::options().read(true).write(true).open(name).expect("it opens");
    let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("a size");
    let side = || Stdio::from(terminal.try_clone().expect("a copy"));
    let mut child =
        command.env("TERM", "xterm").stdin(side()).stdout(side()).stderr(side()).spawn().expect("it runs");
    // The terminal ends with the last process that has it open, so this process must not.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(terminal);
    let mut master = File::from(master);
    let mut shown = Vec::new();
    let mut dialog = dialog;
    let mut chunk = [0; 4096];
    // The end of a terminal is an error on Linux.
    while let Ok(read @ 1..) = master.read(&mut chunk) {
        shown.extend_from_slice(&chunk[..read]);
        if let Some((prompt, input)) = dialog
            && String::from_utf8_lossy(&shown).contains(prompt)
        {
            master.write_all(input.as_bytes()).expect("it is typed");
            dialog = None;
        }
    }
    let status = child.wait().expect("it ends");
    (String::from_utf8_lossy(&shown).replace("\r\n", "\n"), status)
}

/// A directory that is removed at the end of the test.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("postrider-cli-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file");
        path.to_str().expect("text").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
