//! Questions on the terminal.

use std::io::{IsTerminal, Read, Write, stderr, stdin};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use crate::error::Error;
use crate::output::print_notice;
use crate::terminal::escape_text;

/// Bytes of a token that are read. A token has less than a hundred.
const MAX_SECRET_BYTES: usize = 4096;

/// Whether somebody can answer a question.
pub(crate) fn is_interactive() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks before something that cannot be undone, unless `--yes` was given.
pub(crate) fn confirm_deletion(question: &str, yes: bool) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    if !is_interactive() {
        return Err(Error::Usage("give --yes, because there is no terminal to ask on".to_owned()));
    }
    if ask(question)? { Ok(()) } else { Err(Error::Usage("nothing was deleted".to_owned())) }
}

/// Asks before work that can be repeated. Without a terminal it only announces the work.
pub(crate) fn confirm_or_announce(
    question: &str,
    announcement: &str,
    yes: bool,
    refusal: &str,
) -> Result<(), Error> {
    if yes || !is_interactive() {
        print_notice(announcement);
        return Ok(());
    }
    if ask(question)? { Ok(()) } else { Err(Error::Usage(refusal.to_owned())) }
}

/// Asks a question on the terminal and returns whether the answer is yes.
fn ask(question: &str) -> Result<bool, Error> {
    write!(stderr(), "{} [y/N] ", escape_text(question))?;
    stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Reads a secret: from the terminal without showing it, or all of the standard input.
pub(crate) fn read_secret(prompt: &str) -> Result<String, Error> {
    let text = if is_interactive() {
        // Before the prompt, because the terminal drops input that was typed before.
        let hidden = HiddenInput::begin()?;
        write!(stderr(), "{prompt}: ")?;
        stderr().flush()?;
        let typed = collect_line(&mut stdin().lock());
        drop(hidden);
        writeln!(stderr())?;
        typed?
    } else {
        let mut text = String::new();
        stdin().take(MAX_SECRET_BYTES as u64).read_to_string(&mut text)?;
        text
    };
    Ok(text.trim().to_owned())
}

/// Restores the terminal when it is dropped.
struct HiddenInput(Termios);

impl HiddenInput {
    /// Stops the terminal from showing the input.
    ///
    /// It also stops the terminal from turning Ctrl-C into a signal, because the signal would end the process before
    /// the terminal is restored.
    fn begin() -> Result<Self, Error> {
        let before = termios::tcgetattr(stdin()).map_err(std::io::Error::from)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        termios::tcsetattr(stdin(), OptionalActions::Flush, &hidden).map_err(std::io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // The process ends soon, and there is nobody to tell.
        let _ = termios::tcsetattr(stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Collects the keys up to the end of the line.
fn collect_line(keys: &mut impl Read) -> Result<String, Error> {
    let mut line = Vec::new();
    let mut key = [0];
    while line.len() < MAX_SECRET_BYTES && keys.read(&mut key)? == 1 {
        match key[0] {
            b'\r' | b'\n' | 0x04 => break,
            0x03 => return Err(Error::Usage("interrupted".to_owned())),
            0x08 | 0x7f => drop(line.pop()),
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).map_err(|_| Error::Usage("the input is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_a_line() {
        for (keys, wanted) in
            [("prt_a\rrest", "prt_a"), ("prt_x\u{7f}a\n", "prt_a"), ("\u{7f}a\u{4}", "a"), ("a", "a")]
        {
            assert_eq!(collect_line(&mut keys.as_bytes()).expect("a line"), wanted);
        }
        assert!(collect_line(&mut "prt\u{3}".as_bytes()).is_err());
    }
}
