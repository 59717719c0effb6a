//! Headers that every response carries, so that no page of this origin is protected less than the console.
//!
//! The console keeps a token in sessionStorage, and every page of the same origin could read it there. Therefore no page
//! may be framed, run scripts of others, or send its address elsewhere.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Builds a content security policy: nothing, except what the argument allows.
macro_rules! policy {
    ($($allowed:literal)?) => {
        HeaderValue::from_static(concat!(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            $("; ", $allowed)?
        ))
    };
}

/// Policy of the console: only this origin, no inline scripts or styles, no strings that become scripts.
pub(crate) const CONSOLE_POLICY: HeaderValue = policy!(
    "script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; \
     trusted-types 'none'"
);
/// Policy of the documentation: as the console's, because its search loads an index, and its pages show code.
pub(crate) const DOCS_POLICY: HeaderValue = CONSOLE_POLICY;
/// Policy of every other response: a browser that shows it loads nothing.
const DATA_POLICY: HeaderValue = policy!();

/// Headers with the same value everywhere.
///
/// `clipboard-write` is not denied, because the console copies secrets on request.
const COMMON: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), \
             usb=()",
        ),
    ),
];

/// Adds the headers to a response. A page sets its content security policy itself.
pub(crate) fn add_security_headers(headers: &mut HeaderMap) {
    for (name, value) in COMMON {
        headers.insert(name, value);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(DATA_POLICY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_allow_no_other_origin_and_nothing_inline() {
        for policy in [DATA_POLICY, DOCS_POLICY, CONSOLE_POLICY] {
            let text = policy.to_str().expect("text");
            assert!(text.starts_with("default-src 'none'; base-uri 'none'; form-action 'none'"), "{text}");
            assert!(!text.contains("unsafe") && !text.contains("http") && !text.contains('*'), "{text}");
            assert!(!text.contains("  "), "{text}");
        }
    }

    #[test]
    fn own_policy_of_a_page_stays() {
        let mut headers = HeaderMap::new();
        add_security_headers(&mut headers);
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], DATA_POLICY);
        let mut headers = HeaderMap::from_iter([(header::CONTENT_SECURITY_POLICY, CONSOLE_POLICY)]);
        add_security_headers(&mut headers);
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], CONSOLE_POLICY);
        assert_eq!(headers.len(), COMMON.len() + 1);
    }
}
