//! What each form of `DATABASE_URL` means. A form that asks for TLS never connects without it.

use proptest::prelude::*;
use tokio_postgres::config::SslMode;

use super::*;

/// Refuses what must not be refused with the reason.
fn parsed(text: &str) -> DatabaseUrl {
    parse_database_url(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    parse_database_url(text).expect_err(text)
}

fn hosts(url: &DatabaseUrl) -> Vec<String> {
    url.hosts.in_order().map(|(_, host)| host.to_string()).collect()
}

/// Returns whether all connections are over TLS, and the hosts.
fn summary(text: &str) -> (SslMode, Vec<String>) {
    let url = parsed(text);
    assert_eq!(url.tls.is_some(), url.config.get_ssl_mode() != SslMode::Disable, "{text}");
    (url.config.get_ssl_mode(), hosts(&url))
}

#[test]
fn every_form_with_several_hosts_keeps_its_tls() {
    let two = || vec!["h1:15711".to_owned(), "h2:15712".to_owned()];
    for text in [
        "postgres://u:p@h1:15711,h2:15712/db?sslmode=require&target_session_attrs=read-write",
        "postgresql://u:p@h1:15711,h2:15712/db?sslmode=require",
        "postgres://u:p@h1:15711,h2:15712/db?sslmode=verify-full",
        "postgres://u:p@h1:15711,h2:15712/db?sslmode=verify-ca&target_session_attrs=primary",
        "postgres:///db?host=h1,h2&port=15711,15712&user=u&sslmode=require",
        "host=h1,h2 port=15711,15712 user=u password=p dbname=db sslmode=require",
        "host = 'h1,h2' port='15711,15712' user=u dbname=db sslmode = verify-full",
    ] {
        assert_eq!(summary(text), (SslMode::Require, two()), "{text}");
    }
    assert_eq!(
        summary("postgres://u:p@h1:15711/db?sslmode=require"),
        (SslMode::Require, vec!["h1:15711".to_owned()])
    );
    assert_eq!(
        summary("postgres://u:p@h1,h2/db?sslmode=require"),
        (SslMode::Require, vec!["h1:5432".to_owned(), "h2:5432".to_owned()])
    );
    assert_eq!(
        summary("host=h1 port=15711 user=u password=p dbname=db sslmode=require"),
        (SslMode::Require, vec!["h1:15711".to_owned()])
    );
    assert!(refused("postgres://u:p@h1:1,h2:2/db?sslrootcert=/nothing/there").starts_with("sslrootcert: "));
}

#[test]
fn the_six_modes_of_libpq_are_known() {
    for (mode, expected) in [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Prefer),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::Require),
        ("verify-full", SslMode::Require),
    ] {
        assert_eq!(summary(&format!("postgres://h/db?sslmode={mode}")).0, expected, "{mode}");
    }
    assert_eq!(summary("postgres://h/db").0, SslMode::Disable);
    assert_eq!(summary("postgres://h/db?sslrootcert=system").0, SslMode::Require);
    for bad in ["sslmode=yes", "sslmode=", "sslmode=REQUIRE", "sslmode=require&sslmode=disable"] {
        assert!(refused(&format!("postgres://h/db?{bad}")).contains("sslmode"), "{bad}");
    }
}

#[test]
fn each_error_about_tls_names_its_parameter() {
    for (query, named) in [
        ("sslmode=verify-full&sslrootcert=/nothing/there", "sslrootcert"),
        ("sslmode=require&sslcert=/nothing/there&sslkey=/nothing", "sslcert"),
        ("sslmode=require&sslcert=/nothing/there", "sslkey"),
        ("sslcert=/c&sslkey=/k", "sslmode"),
        ("sslrootcert=", "sslrootcert"),
        ("sslmode=require&sslrootcert=system", "verify-full"),
        ("ssl=true", "ssl"),
        ("sslmode=require&sslcrl=/c", "sslcrl"),
        ("channel_binding=require", "sslmode"),
        ("sslmode=prefer&sslnegotiation=direct", "sslmode"),
    ] {
        let error = refused(&format!("postgres://h/db?{query}"));
        assert!(error.contains(named) && !error.contains('\n'), "{query}: {error}");
    }
    assert!(refused("postgres:///db?host=/run/postgresql&sslmode=require").contains("Unix socket"));
    assert!(refused("postgres://h,%2Frun/db?sslmode=verify-full").contains("Unix socket"));
}

/// F13 of the public reports: it ran and was never ready.
#[test]
fn a_url_without_a_host_is_refused() {
    for text in ["", " ", "postgres://", "postgres:///x", "postgres://u:p@/x", "dbname=x", "host='' dbname=x"]
    {
        let error = refused(text);
        assert!(error.contains("postgres://user:password@host:port/database"), "{text}: {error}");
    }
}

#[test]
fn hosts_may_be_names_addresses_and_sockets() {
    for (text, expected) in [
        ("postgres://h/db", vec!["h:5432"]),
        (
            "postgres://h:1,[2001:db8::1]:2,10.0.0.1,[::1]/db",
            vec!["h:1", "[2001:db8::1]:2", "10.0.0.1:5432", "[::1]:5432"],
        ),
        ("postgres:///db?host=/run/postgresql", vec!["/run/postgresql:5432"]),
        ("postgres://%2Frun%2Fpostgresql:5433/db", vec!["/run/postgresql:5433"]),
        ("host=/run/postgresql,h dbname=x", vec!["/run/postgresql:5432", "h:5432"]),
        ("host=h hostaddr=10.0.0.1", vec!["h:5432"]),
        ("hostaddr=2001:db8::1 port=1", vec!["[2001:db8::1]:1"]),
        ("host=h1,h2 port=1", vec!["h1:1", "h2:1"]),
        ("host=h1,h2 port=1,", vec!["h1:1", "h2:5432"]),
        ("postgres://h1:1,h2/db", vec!["h1:1", "h2:5432"]),
    ] {
        assert_eq!(hosts(&parsed(text)), expected, "{text}");
    }
    let url = parsed("host=h1,h2 hostaddr=10.0.0.1,10.0.0.2");
    let places: Vec<_> = url.hosts.in_order().map(|(_, host)| host.place.clone()).collect();
    let place = |n| Place::Tcp { name: format!("h{n}"), address: Some(IpAddr::from([10, 0, 0, n])) };
    assert_eq!(places, [place(1), place(2)]);
}

#[test]
fn hosts_and_ports_that_do_not_fit_are_refused() {
    for (text, said) in [
        ("postgres:///db?host=h1,h2&port=1,2,3", "2 hosts and 3 ports"),
        ("host=h1,h2,h3 port=1,2", "3 hosts and 2 ports"),
        ("host=h1,h2 hostaddr=10.0.0.1", "2 hosts and 1 hostaddrs"),
        ("host=h port=none", "port"),
        ("host=h port=0", "port"),
        ("host=h hostaddr=h", "hostaddr"),
        ("host=h1,,h2", "empty"),
        ("host=h1:5432", "host"),
        ("host=user@h", "host"),
        ("host=/run hostaddr=10.0.0.1", "hostaddr"),
        ("postgres://h1/db?host=h2", "host is given twice"),
        ("postgres://u@h/db?user=v", "user is given twice"),
        ("host=h dbname='postgres://h/db?sslmode=require'", "sslmode"),
        ("postgres://h/db?user=u?sslmode=require", "sslmode"),
        ("host=h user=u&sslmode=require", "sslmode"),
        ("host=h connect_timeout=soon", "connect_timeout"),
        ("host=h service=x", "service is not supported"),
    ] {
        let error = refused(text);
        assert!(error.contains(said) && !error.contains('\n'), "{text}: {error}");
    }
    let error = refused("host=h password=two hushed=word");
    assert!(!error.contains("hushed"), "{error}");
}

#[test]
fn only_sessions_that_may_write_are_asked_for() {
    for (text, check) in [
        ("postgres://h/db", WriteCheck::Any),
        ("postgres://h1,h2/db", WriteCheck::ReadWrite),
        ("postgres://h1,h2/db?target_session_attrs=any", WriteCheck::Any),
        ("postgres://h/db?target_session_attrs=read-write", WriteCheck::ReadWrite),
        ("postgres://h1,h2/db?target_session_attrs=primary", WriteCheck::Primary),
    ] {
        assert_eq!(parsed(text).write_check, check, "{text}");
    }
    for refused_attrs in ["read-only", "standby", "prefer-standby", "master"] {
        let error = refused(&format!("postgres://h/db?target_session_attrs={refused_attrs}"));
        assert!(error.contains("read-write"), "{error}");
    }
}

#[test]
fn the_other_parameters_reach_the_connection() {
    let url = parsed(
        "postgres://u%40x:p%20w+@h/d?options=-c%20search_path%3Dx&connect_timeout=3&keepalives=0\
         &keepalives_idle=20&application_name=mine&channel_binding=disable&load_balance_hosts=random",
    );
    assert_eq!(url.config.get_user(), Some("u@x"));
    assert_eq!(url.config.get_password(), Some(b"p w+".as_slice()));
    assert_eq!(url.config.get_dbname(), Some("d"));
    assert_eq!(url.config.get_options(), Some("-c search_path=x"));
    assert!(!url.config.get_keepalives());
    assert_eq!(url.config.get_keepalives_idle(), Duration::from_secs(20));
    assert_eq!(url.hosts.attempt_timeout(1), Duration::from_secs(3));
    assert_eq!(parsed("host=h connect_timeout=3600").hosts.attempt_timeout(1), MAX_CONNECT_TIMEOUT);
}

#[test]
fn debug_output_hides_the_password() {
    for text in ["postgres://u:hush@h/db", "host=h password=hush"] {
        assert!(!format!("{:?}", parsed(text)).contains("hush"));
    }
}

/// Text of a value, with characters that have a meaning in one of the forms.
fn any_value() -> impl Strategy<Value = String> {
    "[a-z0-9 @:/?#&=%+'\\\\,]{1,8}"
}

fn encode(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

proptest! {
    /// A well-formed text is accepted in both forms, with its values and its TLS.
    #[test]
    fn a_text_that_asks_for_tls_gets_it(
        password in any_value(),
        user in any_value(),
        ports in proptest::collection::vec(1..=u16::MAX, 1..4),
        mode in proptest::sample::select(vec!["require", "verify-ca", "verify-full"]),
        at in 0..4_usize,
    ) {
        let number = ports.len();
        let hosts: Vec<String> = (0..number).map(|n| format!("h{n}:{}", ports[n])).collect();
        let mut query =
            [format!("sslmode={mode}"), "connect_timeout=2".to_owned(), "keepalives=1".to_owned()];
        query.rotate_left(at % 3);
        let url = format!("postgres://{}:{}@{}/db?{}", encode(&user), encode(&password), hosts.join(","), query.join("&"));
        let names: Vec<String> = (0..number).map(|n| format!("h{n}")).collect();
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let mut pairs = [
            format!("user={}", quote(&user)),
            format!("password = {}", quote(&password)),
            format!("sslmode={mode}"),
            format!("host={} port={}", names.join(","), ports.join(",")),
        ];
        pairs.rotate_left(at);
        for text in [url, pairs.join(" ")] {
            let parsed = parse_database_url(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            prop_assert_eq!(parsed.config.get_ssl_mode(), SslMode::Require);
            prop_assert!(parsed.tls.is_some());
            prop_assert_eq!(parsed.config.get_user(), Some(user.as_str()));
            prop_assert_eq!(parsed.config.get_password(), Some(password.as_bytes()));
            let shown: Vec<String> = parsed.hosts.in_order().map(|(_, host)| host.to_string()).collect();
            prop_assert_eq!(&shown, &hosts);
        }
    }

    /// A text that contains a parameter that asks for TLS is refused, or read with TLS.
    #[test]
    fn no_text_loses_the_parameter_that_asks_for_tls(
        scheme in proptest::sample::select(vec!["", "postgres://", "postgresql://", "postgres:"]),
        before in proptest::collection::vec(any_piece(), 0..6),
        separator in proptest::sample::select(vec!["", "?", "&", " ", "/", ",", "'"]),
        after in proptest::collection::vec(any_piece(), 0..4),
    ) {
        let (before, after) = (before.concat(), after.concat());
        let text = format!("{scheme}{before}{separator}sslmode=require{after}");
        if let Ok(parsed) = parse_database_url(&text) {
            prop_assert_eq!(parsed.config.get_ssl_mode(), SslMode::Require, "{}", text);
        }
    }
}

/// A piece of a text in one of the forms.
fn any_piece() -> impl Strategy<Value = String> {
    let pieces = [
        "host=h",
        "h",
        "h1:1,h2:2",
        "u:p@",
        "/db",
        "?",
        "&",
        " ",
        "=",
        "'",
        "\\",
        "@",
        ",",
        ":",
        "%20",
        "%",
        "user=u",
        "password=",
        "options=-c",
        "application_name=",
        "port=1",
        "sslmode=disable",
    ];
    prop_oneof![
        3 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => "[a-z0-9@:/?&=, %']{0,8}",
    ]
}
