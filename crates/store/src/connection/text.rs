//! Splits the text of a connection into parameters. It has the two forms of libpq: a URL, or `key=value` pairs.
//!
//! Where libpq and others read a text in different ways, it is refused, because a text that is read in the wrong way may
//! lose the parameter that asks for TLS. Errors never contain values, because a value may be a part of the password.

/// The schemes of a URL.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// How to write characters that have a meaning in a URL.
const ENCODING: &str = "in a URL, write % / ? # @ : & = inside of a value as %25 %2F %3F %23 %40 %3A %26 %3D";

/// A parameter with its decoded value.
pub(crate) type Parameter = (String, String);

/// Splits a text into parameters, which have the names that libpq gives them. A name may occur twice.
pub(crate) fn split_parameters(text: &str) -> Result<Vec<Parameter>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty; write postgres://user:password@host:port/database".to_owned());
    }
    if let Some(rest) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        return split_url(rest);
    }
    if text.split_whitespace().next().is_some_and(|word| word.contains("://") || !text.contains('=')) {
        return Err("write postgres://user:password@host:port/database, or host=… user=… dbname=…".to_owned());
    }
    split_pairs(text)
}

fn split_url(text: &str) -> Result<Vec<Parameter>, String> {
    if text.contains(char::is_whitespace) {
        return Err("a URL contains no space; write it as %20".to_owned());
    }
    let (authority, rest) = text.split_at(text.find(['/', '?']).unwrap_or(text.len()));
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let mut parameters = Vec::new();
    let hosts = match authority.rsplit_once('@') {
        Some((account, hosts)) => {
            split_account(account, &mut parameters)?;
            hosts
        }
        None => authority,
    };
    if !hosts.is_empty() {
        split_hosts(hosts, &mut parameters)?;
    }
    let database = path.strip_prefix('/').unwrap_or(path);
    if !database.is_empty() {
        parameters.push(("dbname".to_owned(), decode(database)?));
    }
    for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(format!("a parameter after the ? has no value; {ENCODING}"));
        };
        parameters.push((decode(name)?, decode(value)?));
    }
    Ok(parameters)
}

fn split_account(account: &str, parameters: &mut Vec<Parameter>) -> Result<(), String> {
    let (user, password) = account.split_once(':').map_or((account, None), |(user, rest)| (user, Some(rest)));
    for (name, value) in [("user", Some(user)), ("password", password)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            parameters.push((name.to_owned(), decode(value)?));
        }
    }
    Ok(())
}

/// Splits `host:port,[::1]:port,host` into the parameters `host` and `port`.
fn split_hosts(text: &str, parameters: &mut Vec<Parameter>) -> Result<(), String> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for entry in text.split(',') {
        let (host, port) = split_port(entry)?;
        let host = decode(host)?;
        if host.contains(',') || host.is_empty() {
            return Err("a host in the list is empty or contains a comma".to_owned());
        }
        hosts.push(host);
        ports.push(port.to_owned());
    }
    parameters.push(("host".to_owned(), hosts.join(",")));
    if ports.iter().any(|port| !port.is_empty()) {
        parameters.push(("port".to_owned(), ports.join(",")));
    }
    Ok(())
}

/// Splits a host from its port, which is empty if it is not given.
fn split_port(entry: &str) -> Result<(&str, &str), String> {
    let malformed =
        || format!("a host is not host, host:port or [IPv6 address]:port with a port number; {ENCODING}");
    let (host, port) = match entry.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(malformed)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| malformed())?;
            (host, if rest.is_empty() { "" } else { rest.strip_prefix(':').ok_or_else(malformed)? })
        }
        None => entry.split_once(':').unwrap_or((entry, "")),
    };
    if port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Ok((host, port));
    }
    Err(malformed())
}

/// Decodes `%20`. A `+` stays, because only HTML forms use it for a space.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, next) = if first == b'%' { decode_byte(tail)? } else { (first, tail) };
        bytes.push(byte);
        rest = next;
    }
    String::from_utf8(bytes).map_err(|_| "a value is not UTF-8".to_owned())
}

/// Decodes the two digits after a `%`, and returns the byte and the rest.
fn decode_byte(text: &[u8]) -> Result<(u8, &[u8]), String> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    match (digit(0), digit(1)) {
        (Some(high), Some(low)) if high + low > 0 => {
            Ok((u8::try_from(high * 16 + low).unwrap_or_default(), &text[2..]))
        }
        _ => Err(format!("a % is not followed by the two digits of a byte; {ENCODING}")),
    }
}

/// Splits `host=h user='an account' sslmode=require`.
fn split_pairs(text: &str) -> Result<Vec<Parameter>, String> {
    let mut parameters = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        let Some(tail) = tail.trim_start().strip_prefix('=') else {
            return Err("a word has no =; write a value with spaces as 'two words'".to_owned());
        };
        let (value, tail) = split_value(tail)?;
        parameters.push((name.to_owned(), value));
        rest = tail.trim_start();
    }
    Ok(parameters)
}

/// Splits the value after a `=` from the rest.
///
/// libpq reads `password= sslmode=require` as a password. This is refused, as is a value without an end.
fn split_value(text: &str) -> Result<(String, &str), String> {
    let trimmed = text.trim_start();
    let quoted = trimmed.strip_prefix('\'');
    let mut value = String::new();
    let mut characters = quoted.unwrap_or(trimmed).char_indices();
    let is_end = |c: char| if quoted.is_some() { c == '\'' } else { c.is_whitespace() };
    let mut end = None;
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ if is_end(character) => {
                end = Some(at);
                break;
            }
            _ => value.push(character),
        }
    }
    match (quoted, end) {
        (Some(_), None) => Err("a ' has no end; write ' inside of a value as \\'".to_owned()),
        (Some(body), Some(end)) => match &body[end + 1..] {
            rest if rest.is_empty() || rest.starts_with(char::is_whitespace) => Ok((value, rest)),
            _ => Err("there is no space after a value in ''; write ' inside of a value as \\'".to_owned()),
        },
        (None, _) if value.is_empty() || (trimmed.len() < text.len() && value.contains('=')) => {
            Err("a parameter has no value; write an empty value as ''".to_owned())
        }
        (None, end) => Ok((value, &trimmed[end.unwrap_or(trimmed.len())..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(String, String)> {
        split_parameters(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_url_has_all_parts_of_libpq() {
        assert_eq!(
            split(
                "postgresql://u%40x:p%2Fw@h1:15711,[2001:db8::1]:5433,h3/d%20b?application_name=a%20b&options=-c+x"
            ),
            pairs(&[
                ("user", "u@x"),
                ("password", "p/w"),
                ("host", "h1,2001:db8::1,h3"),
                ("port", "15711,5433,"),
                ("dbname", "d b"),
                ("application_name", "a b"),
                ("options", "-c+x"),
            ])
        );
        assert_eq!(split("postgres://h/db"), pairs(&[("host", "h"), ("dbname", "db")]));
        assert_eq!(
            split("postgres://%2Frun%2Fpostgresql?user=u"),
            pairs(&[("host", "/run/postgresql"), ("user", "u")])
        );
        assert_eq!(split("postgres:///db?host=h1,h2"), pairs(&[("dbname", "db"), ("host", "h1,h2")]));
    }

    /// Each was accepted before, because the last @ ends the account.
    #[test]
    fn a_password_may_contain_characters_that_have_no_meaning_there() {
        for (text, password) in [("u:p@w", "p@w"), ("u:p#w", "p#w"), ("u:p:w", "p:w"), ("u:p+w", "p+w")] {
            let expected = pairs(&[("user", "u"), ("password", password), ("host", "h")]);
            assert_eq!(split(&format!("postgres://{text}@h")), expected, "{text}");
        }
    }

    #[test]
    fn pairs_are_read_as_libpq_reads_them() {
        assert_eq!(
            split(
                r"host = h1,h2 port=1,2  user=u password='two w\'ords' options=-csearch_path=x dbname=a\ b"
            ),
            pairs(&[
                ("host", "h1,h2"),
                ("port", "1,2"),
                ("user", "u"),
                ("password", "two w'ords"),
                ("options", "-csearch_path=x"),
                ("dbname", "a b"),
            ])
        );
        assert_eq!(split("password='' host=h"), pairs(&[("password", ""), ("host", "h")]));
    }

    #[test]
    fn an_ambiguous_text_is_refused_without_its_values() {
        for text in [
            "",
            "  ",
            "hush",
            "mysql://u:hush@h/db?sslmode=require",
            "jdbc:postgresql://u:hush@h/db?sslmode=require",
            "postgres://u:hush/w@h/db",
            "postgres://u:hush?w@h/db",
            "postgres://u:hu%sh@h/db",
            "postgres://u:hush%00@h/db",
            "postgres://h:hush/db",
            "postgres://h:0/db",
            "postgres://h:70000/db",
            "postgres://::1:5432/db",
            "postgres://[hush]:5432/db",
            "postgres://[fe80::1%25eth0]:5432/db",
            "postgres://[::1]5432/db",
            "postgres://h1,,h2/db",
            "postgres://h1%2Ch2/db",
            "postgres://h/db?hush",
            "postgres://h/db?application_name=a hush",
            "password= sslmode=require host=h",
            "password=two hush host=h",
            "password='hush host=h",
            "password='hush'host=h",
            "host=h password=",
        ] {
            let error = split_parameters(text).expect_err(text);
            assert!(!error.contains("hush") && !error.contains('\n'), "{text}: {error}");
        }
    }
}
