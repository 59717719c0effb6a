//! Collects the secrets and tokens that this process has seen, and searches for them in everything that a
//! platform leaves behind, which is each process's log and a dump of its database. So every test checks that
//! nothing leaks.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::encodings::{MIN_FORM_BYTES, SecretForms};

/// Prefixes of webhooks' secrets, of their private keys and of tokens.
const PREFIXES: [&str; 4] = ["whsec_", "whsk_", "prt_", "prs_"];

static SECRETS: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

fn lock_secrets() -> MutexGuard<'static, BTreeSet<String>> {
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a secret to the search.
pub(crate) fn add_secret(secret: &str) {
    lock_secrets().insert(secret.to_owned());
}

/// Adds the secrets and tokens in an answer of the API to the search.
pub(crate) fn add_secrets_in(answer: &str) {
    for (prefix, (at, _)) in
        PREFIXES.iter().flat_map(|p| answer.match_indices(p).map(move |found| (p, found)))
    {
        let rest = &answer[at + prefix.len()..];
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-".contains(c)).unwrap_or(rest.len());
        add_secret(&rest[..end]);
    }
}

/// Describes the places that contain a secret, without repeating it.
pub(crate) fn find_secrets(places: &[(String, Vec<u8>)]) -> Vec<String> {
    let forms: Vec<(&str, Vec<u8>)> = lock_secrets()
        .iter()
        .flat_map(|secret| encode_secret(secret))
        .flat_map(SecretForms::into_forms)
        .collect();
    let all = AhoCorasick::new(forms.iter().map(|(_, form)| form)).expect("forms to look for");
    let first = |(place, bytes): &(String, Vec<u8>)| {
        let found = all.find(bytes)?;
        Some(format!("a secret or token, {}, at byte {} of {place}", forms[found.pattern()].0, found.start()))
    };
    places.iter().filter_map(first).collect()
}

/// Encodes a secret as text, and as the bytes that it represents.
fn encode_secret(secret: &str) -> Vec<SecretForms> {
    let decoded = [STANDARD.decode(secret), URL_SAFE_NO_PAD.decode(secret)].into_iter().flatten();
    let all = std::iter::once(secret.as_bytes().to_vec()).chain(decoded);
    all.filter(|bytes| bytes.len() >= MIN_FORM_BYTES)
        .map(|bytes| SecretForms::new("a secret", &bytes))
        .collect()
}

/// Reads the logs in the directory of a test.
pub(crate) fn read_logs(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_an_answer_are_found_in_every_encoding() {
        let secret = STANDARD.encode([200; 32]);
        let token = "Zm9yLWEtdGVzdC1vZi10aGUtaGFybmVzcy1pdHNlbGY";
        add_secrets_in(&format!(
            "{{\"secret\":\"whsec_{secret}\",\"token\":\"prt_{token}\",\"x\":\"prt_\"}}"
        ));
        let place = |text: String| vec![("a log".to_owned(), text.into_bytes())];
        for shown in [
            secret.clone(),
            token.to_owned(),
            "c8".repeat(32),
            STANDARD.encode(token),
            format!("{:?}", [200; 32]),
        ] {
            let found = find_secrets(&place(format!("before {shown} after")));
            assert!(matches!(&found[..], [one] if !one.contains(&shown)), "{shown}: {found:?}");
        }
        assert_eq!(find_secrets(&place(format!("before {} after", &token[1..]))), Vec::<String>::new());
    }
}
