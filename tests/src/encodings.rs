//! The encodings in which a secret may appear, and the search for them.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter encodings would be found by chance.
pub(crate) const MIN_FORM_BYTES: usize = 12;

/// A secret that must not appear anywhere.
#[derive(Debug, Clone)]
pub struct SecretForms {
    /// A description for messages, never the secret itself.
    pub what: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl SecretForms {
    /// Encodes these bytes in every form.
    ///
    /// # Panics
    /// When there are too few bytes to search for.
    #[must_use]
    pub fn new(what: &str, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= MIN_FORM_BYTES, "{what} is too short to be looked for");
        let hex: String = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let every = |form: &dyn Fn(u8) -> String| bytes.iter().map(|byte| form(*byte)).collect::<String>();
        let reserved = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        let listed = bytes.iter().map(u8::to_string).collect::<Vec<_>>();
        let mut forms = vec![
            ("as it is", bytes.to_vec()),
            ("hex", hex.clone().into_bytes()),
            ("HEX", hex.to_uppercase().into_bytes()),
            ("percent-encoded", every(&reserved).into_bytes()),
            ("percent-encoded, all of it", every(&|byte| format!("%{byte:02X}")).into_bytes()),
            (
                "percent-encoded, all of it, in small letters",
                every(&|byte| format!("%{byte:02x}")).into_bytes(),
            ),
            ("escaped", bytes.escape_ascii().to_string().into_bytes()),
            ("escaped as JSON", String::from_utf8_lossy(bytes).replace('/', "\\/").into_bytes()),
            ("a list of numbers", listed.join(", ").into_bytes()),
            ("a list of numbers, close together", listed.join(",").into_bytes()),
        ];
        for offset in 0..3 {
            forms.push(("base64", base64_core(&STANDARD_NO_PAD, bytes, offset)));
            forms.push(("base64url", base64_core(&URL_SAFE_NO_PAD, bytes, offset)));
        }
        Self { what: what.to_owned(), forms }
    }

    /// Encodes a webhook's secret, as text and as the key that it represents.
    ///
    /// # Panics
    /// When it is not a secret.
    #[must_use]
    pub fn secret(what: &str, secret: &str) -> [Self; 2] {
        let encoded = secret.strip_prefix("whsec_").expect("a secret");
        let key = STANDARD.decode(encoded).expect("base64");
        [Self::new(&format!("{what} (text)"), encoded.as_bytes()), Self::new(&format!("{what} (key)"), &key)]
    }

    /// Encodes a brand's token, as text and as the random bytes that it represents.
    ///
    /// # Panics
    /// When it is not a token.
    #[must_use]
    pub fn token(what: &str, token: &str) -> [Self; 2] {
        let prefixes = ["prt_", "prs_"];
        let encoded = prefixes.iter().find_map(|prefix| token.strip_prefix(prefix)).expect("a token");
        let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
        [
            Self::new(&format!("{what} (text)"), encoded.as_bytes()),
            Self::new(&format!("{what} (bytes)"), &bytes),
        ]
    }

    pub(crate) fn into_forms(self) -> Vec<(&'static str, Vec<u8>)> {
        self.forms
    }

    /// Returns the form in which `place` contains it, if it does.
    #[must_use]
    pub fn found_in(&self, place: &[u8]) -> Option<&'static str> {
        let (form, _) = self.forms.iter().find(|(_, form)| contains(place, form))?;
        Some(form)
    }
}

/// Returns the part of a longer base64 text that depends on these bytes alone, when they begin at this offset
/// of three.
fn base64_core(engine: &impl base64::Engine, bytes: &[u8], offset: usize) -> Vec<u8> {
    let text = engine.encode([vec![0; offset], bytes.to_vec()].concat());
    let from = (offset * 8).div_ceil(6);
    let to = (offset + bytes.len()) * 8 / 6;
    text.as_bytes()[from..to].to_vec()
}

fn contains(place: &[u8], form: &[u8]) -> bool {
    let Some(first) = form.first() else { return false };
    let mut rest = place;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(form) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encoded_secrets_are_found() {
        let bytes: Vec<u8> = (200..232).collect();
        let hidden = SecretForms::new("it", &bytes);
        for offset in 0..7 {
            let longer = [vec![b'x'; offset], bytes.clone(), vec![b'y'; 3]].concat();
            for text in [STANDARD.encode(&longer), URL_SAFE_NO_PAD.encode(&longer), format!("{longer:?}")] {
                assert!(
                    hidden.found_in(format!("before {text} after").as_bytes()).is_some(),
                    "{offset}: {text}"
                );
            }
        }
        let hex = "c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7";
        assert_eq!(hidden.found_in(hex.as_bytes()), Some("hex"));
        assert_eq!(hidden.found_in(hex.to_uppercase().as_bytes()), Some("HEX"));
        assert_eq!(hidden.found_in(&bytes), Some("as it is"));
        let other = [&bytes[1..], &[0]].concat();
        for place in [other.clone(), STANDARD.encode(&other).into_bytes(), format!("{other:?}").into_bytes()]
        {
            assert_eq!(hidden.found_in(&place), None);
        }
    }
}
