//! Processes and settings (contract §7).

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::binaries;
use e2e::event::Event;
use e2e::platform::Platform;
use e2e::ports::Port;
use e2e::process::http_get;

use crate::Stage;

const SERVICES: [&str; 3] = ["subscription-api", "router", "deliverer"];
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Runs a service that is expected to exit at once. It gets a master key unless `settings` contains one; an
/// empty value removes it.
fn run_service(service: &str, args: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binaries::binary_path(service));
    command.args(args).env_clear().env("POSTRIDER_MASTER_KEY", KEY);
    for (name, value) in settings {
        if value.is_empty() {
            command.env_remove(name)
        } else {
            command.env(name, value)
        };
    }
    command.output().expect("the service runs")
}

const CONTRACT: &str = include_str!("../../crates/docs/contract.md");

/// Settings of the contract that the API does not have, and then of the other services.
const NOT_OF_THE_API: &[&str] = &[
    "POSTRIDER_EXTRA_CA_FILE",
    "POSTRIDER_CONNECT_TIMEOUT",
    "POSTRIDER_REQUEST_TIMEOUT",
    "POSTRIDER_HTTP2",
    "POSTRIDER_EMPTY_BACKLOGS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "POSTRIDER_TRACE_SHARE",
];
const NOT_OF_THE_ROUTER: &[&str] = &[
    "POSTRIDER_MASTER_KEY",
    "POSTRIDER_OLD_MASTER_KEYS",
    "POSTRIDER_SUPPORT_TOKEN",
    "POSTRIDER_API_LISTEN",
    "POSTRIDER_TRUSTED_PROXIES",
    "POSTRIDER_ALLOW_NETWORKS",
    "POSTRIDER_DNS_SERVERS",
    "POSTRIDER_EXTRA_CA_FILE",
    "POSTRIDER_RETRY_DELAYS",
    "POSTRIDER_RETRY_WINDOW",
    "POSTRIDER_CONNECT_TIMEOUT",
    "POSTRIDER_REQUEST_TIMEOUT",
    "POSTRIDER_HTTP2",
    "POSTRIDER_TOKEN_RATE",
    "POSTRIDER_HEALTH_WINDOW",
    "POSTRIDER_HEALTH_MIN_ATTEMPTS",
    "POSTRIDER_HEALTH_FAILURE_RATE",
    "POSTRIDER_HEALTH_FAILED_DELIVERIES",
];
/// The settings that can be given as a file, too.
const SECRETS: [&str; 5] = [
    "DATABASE_URL",
    "AMQP_URL",
    "POSTRIDER_MASTER_KEY",
    "POSTRIDER_OLD_MASTER_KEYS",
    "POSTRIDER_SUPPORT_TOKEN",
];
const NOT_OF_THE_DELIVERER: &[&str] = &[
    "POSTRIDER_SUPPORT_TOKEN",
    "POSTRIDER_API_LISTEN",
    "POSTRIDER_TRUSTED_PROXIES",
    "POSTRIDER_TOKEN_RATE",
    "POSTRIDER_EMPTY_BACKLOGS",
];

/// Reads the settings from the first column of the contract's table.
///
/// A name that begins with `_` replaces the last word of the name before it: `_MIN_ATTEMPTS` after
/// `POSTRIDER_HEALTH_WINDOW` is `POSTRIDER_HEALTH_MIN_ATTEMPTS`.
fn read_contract_settings() -> BTreeSet<String> {
    let (_, table) = CONTRACT.split_once("| setting | default |").expect("the table of settings");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut settings = BTreeSet::new();
    for row in rows {
        let names = row.split('|').nth(1).expect("a first column").split('`').skip(1).step_by(2);
        let mut stem = "";
        for name in names {
            if name.starts_with('_') {
                settings.insert(format!("{stem}{name}"));
            } else {
                stem = name.rsplit_once('_').expect("a name of several words").0;
                settings.insert(name.to_owned());
            }
        }
    }
    settings
}

/// Reads the variables that `--help` names.
fn read_variables(help: &str) -> BTreeSet<String> {
    let names = help.split("[env: ").skip(1);
    names.map(|rest| rest.split(['=', ']']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn help_lists_every_setting_of_the_contract_as_flag_and_variable() {
    let contract = read_contract_settings();
    let exceptions = [NOT_OF_THE_API, NOT_OF_THE_ROUTER, NOT_OF_THE_DELIVERER];
    for (service, not_its_own) in SERVICES.into_iter().zip(exceptions) {
        let output = run_service(service, &["--help"], &[]);
        assert!(output.status.success(), "{service} --help: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("text");
        let mut expected = contract.clone();
        let files = SECRETS.iter().filter(|setting| !not_its_own.contains(setting));
        expected.extend(files.map(|setting| format!("{setting}_FILE")));
        for setting in not_its_own {
            assert!(expected.remove(*setting), "the contract has no {setting}");
        }
        assert_eq!(read_variables(&text), expected, "{service} --help:\n{text}");
        for flag in ["--database-url", "--amqp-url", "--no-migrate"] {
            assert!(text.contains(flag), "{flag} is not in {service} --help:\n{text}");
        }
        assert!(!text.contains(KEY), "a secret is never shown");
    }
}

/// Asserts exit status 2 and one line on standard error that names the setting.
fn assert_refused(service: &str, output: &Output, setting: &str, value: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{service} with {setting}={value}: {} {text}", output.status);
    assert_eq!(text.trim_end().lines().count(), 1, "{service} with {setting}={value}: {text}");
    assert!(text.contains(setting), "{service} with {setting}={value}: {text}");
    assert!(output.stdout.is_empty(), "{service} with {setting}={value}");
}

#[test]
fn a_missing_master_key_is_a_one_line_error() {
    for service in ["subscription-api", "deliverer"] {
        let output = run_service(service, &[], &[("POSTRIDER_MASTER_KEY", "")]);
        assert_refused(service, &output, "POSTRIDER_MASTER_KEY", "");
    }
}

/// A file for each secret setting: unreadable, empty, beside its variable, or with a value that is not valid.
#[test]
fn a_secret_file_that_cannot_be_used_is_a_one_line_error() {
    let dir = std::env::temp_dir().join(format!("postrider-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&dir).expect("a directory");
    let file = |name: &str, content: &str| {
        let path = dir.join(name);
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    };
    let [empty, wrong] = [file("empty", "\n"), file("wrong", "hush-hush-hush\n")];
    let both = [("POSTRIDER_MASTER_KEY", KEY), ("AMQP_URL", "amqp://us:hush@127.0.0.1/")];
    let of_the_deliverer = &SECRETS[..4];
    let of_the_router = &SECRETS[..2];
    for (service, secrets) in
        [("subscription-api", &SECRETS[..]), ("router", of_the_router), ("deliverer", of_the_deliverer)]
    {
        for secret in secrets {
            let setting = format!("{secret}_FILE");
            for path in ["/nothing/there", "/", empty.as_str(), wrong.as_str()] {
                let output = run_service(service, &[], &[(*secret, ""), (setting.as_str(), path)]);
                assert_refused(service, &output, &setting, path);
                assert!(!String::from_utf8_lossy(&output.stderr).contains("hush"), "{output:?}");
            }
        }
        for (secret, value) in both.iter().filter(|(secret, _)| secrets.contains(secret)) {
            let setting = format!("{secret}_FILE");
            let right = file("right", value);
            let output = run_service(service, &[], &[(*secret, *value), (setting.as_str(), right.as_str())]);
            assert_refused(service, &output, &setting, &right);
        }
    }
    std::fs::remove_dir_all(&dir).expect("removed");
}

/// All processes work with their secrets from files, and the environment has none of them.
#[tokio::test]
async fn processes_take_their_secrets_from_files() {
    let mut platform = Platform::builder().prepare().await;
    let dir = platform.dir().to_owned();
    for process in platform.processes_mut() {
        for setting in ["DATABASE_URL", "AMQP_URL", "POSTRIDER_MASTER_KEY", "POSTRIDER_SUPPORT_TOKEN"] {
            let path = dir.join(format!("{}-{setting}", process.name()));
            std::fs::write(&path, format!("{}\n", process.setting(setting))).expect("a file");
            process.unset(setting);
            process.set(&format!("{setting}_FILE"), &path.display().to_string());
        }
    }
    platform.start_all().await;
    let stage = Stage::on_platform(platform).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let event = stage.deliver_one(&webhook).await;
    endpoint.wait_for_event(event.id()).await.verify(&webhook.secret).expect("a signature that verifies");
    for process in [&stage.platform.apis[0], &stage.platform.deliverers[0]] {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid())).expect("its environment");
        let text = String::from_utf8_lossy(&environment);
        assert!(
            !text.contains("POSTRIDER_MASTER_KEY=") && !text.contains("DATABASE_URL="),
            "{}",
            process.name()
        );
    }
}

#[test]
fn an_invalid_setting_is_a_one_line_error() {
    let common = [
        ("DATABASE_URL", "mysql://nowhere"),
        ("DATABASE_URL", "postgres:///x"),
        ("DATABASE_URL", "postgres://u:hush@h1:1,h2:2/x?sslmode=yes"),
        ("DATABASE_URL", "host=h1,h2 port=1,2,3 password=hush"),
        ("DATABASE_URL", "postgres://h/x?target_session_attrs=standby"),
        ("AMQP_URL", "http://127.0.0.1"),
        ("AMQP_URL", "a:5672,b:5672"),
        ("AMQP_URL", "amqp://u:hush@a/v,amqp://u:hush@b/w"),
        ("POSTRIDER_NAMESPACE", "no spaces"),
        ("POSTRIDER_OPS_LISTEN", "nowhere"),
        ("POSTRIDER_LOG_FORMAT", "xml"),
    ];
    let more = [
        ("subscription-api", "POSTRIDER_MASTER_KEY", "c2hvcnQ="),
        ("subscription-api", "POSTRIDER_SUPPORT_TOKEN", "short"),
        ("subscription-api", "POSTRIDER_API_LISTEN", "8080"),
        ("subscription-api", "POSTRIDER_ALLOW_NETWORKS", "127.0.0.1/40"),
        ("subscription-api", "POSTRIDER_TRUSTED_PROXIES", "proxy.example"),
        ("subscription-api", "POSTRIDER_DNS_SERVERS", "dns.example"),
        ("subscription-api", "POSTRIDER_TOKEN_RATE", "0"),
        ("router", "POSTRIDER_RETENTION", "soon"),
        ("deliverer", "POSTRIDER_MASTER_KEY", "no base64!"),
        ("deliverer", "POSTRIDER_RETRY_DELAYS", "5s,,1s"),
        ("deliverer", "POSTRIDER_RETRY_WINDOW", "0s"),
        ("deliverer", "POSTRIDER_REQUEST_TIMEOUT", "-1s"),
        ("deliverer", "POSTRIDER_CONNECT_TIMEOUT", "x"),
        ("deliverer", "POSTRIDER_DNS_SERVERS", "9.9.9.9:0"),
        ("deliverer", "POSTRIDER_EXTRA_CA_FILE", "/nowhere/ca.pem"),
    ];
    let common =
        SERVICES.iter().flat_map(|service| common.map(|(setting, value)| (*service, setting, value)));
    for (service, setting, value) in common.chain(more) {
        let output = run_service(service, &[], &[(setting, value)]);
        assert_refused(service, &output, setting, value);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            setting != "POSTRIDER_MASTER_KEY" || !text.contains(value),
            "a secret is never shown: {text}"
        );
        assert!(!text.contains("hush"), "a secret is never shown: {text}");
    }
    // Compose gives an empty value for a variable that is not set.
    for setting in ["DATABASE_URL", "AMQP_URL"] {
        let output = Command::new(binaries::binary_path("router")).env_clear().env(setting, "").output();
        assert_refused("router", &output.expect("the service runs"), setting, "");
    }
    let unknown = run_service("router", &["--nope"], &[]);
    assert_refused("router", &unknown, "--nope", "");
}

/// All processes have the same retention. A process that would drop events which another still shows does not
/// start beside it.
#[tokio::test]
async fn a_retention_shorter_than_that_of_a_running_process_is_rejected() {
    let mut platform = Platform::builder().routers(2).start().await;
    for process in platform.processes_mut() {
        process.terminate().await;
        process.clear_log();
        process.set("POSTRIDER_RETENTION", "2d");
        process.start();
        assert_eq!(process.wait_exit().await.code(), Some(2), "{}", process.log_tail());
        let log = process.read_log();
        let line = log.lines().last().expect("a line");
        for part in ["POSTRIDER_RETENTION", "172800s", "604800s"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        process.set("POSTRIDER_RETENTION", "7d");
        process.start();
        process.wait_ready().await;
    }
}

/// Deliverers of another namespace would own webhooks, and leave their queues alone.
#[tokio::test]
async fn a_second_namespace_on_the_database_is_rejected() {
    let mut platform = Platform::start().await;
    let first = platform.namespace.clone();
    // Without a broker, so that the process declares nothing there.
    let closed = Port::reserve();
    let amqp = format!("amqp://guest:guest@{}/%2f", closed.address());
    for process in platform.processes_mut() {
        process.terminate().await;
        process.clear_log();
        process.set("POSTRIDER_NAMESPACE", "second");
        process.set("AMQP_URL", &amqp);
        process.start();
        assert_eq!(process.wait_exit().await.code(), Some(2), "{}", process.log_tail());
        let log = process.read_log();
        let line = log.lines().last().expect("a line");
        for part in ["POSTRIDER_NAMESPACE", "second", first.as_str()] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

#[tokio::test]
async fn each_service_starts_without_servers_and_reports_the_missing_one() {
    let closed = Port::reserve();
    let amqp = format!("amqp://guest:guest@{}/%2f", closed.address());
    let database = format!("postgres://postgres@{}/x", closed.address());
    for (setting, url, away, other) in
        [("AMQP_URL", &amqp, "broker", "database"), ("DATABASE_URL", &database, "database", "broker")]
    {
        let mut platform = Platform::builder().set(setting, url).prepare().await;
        for process in platform.processes_mut() {
            process.start();
            let report = process.wait_readyz(503).await;
            let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
            assert!(report.get(away).is_some() && report.get(other).is_some(), "{report}");
            // The process finds the other server sooner or later, and still reports the missing one.
            let seen = e2e::poll::eventually("the two are told apart", WAIT_TIMEOUT, async || {
                let (status, text) =
                    http_get(process.ops_address(), "/readyz").await.map_err(|e| e.to_string())?;
                let report: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                let apart = report[away] != report[other];
                if status == 503 && apart { Ok(report) } else { Err(text) }
            })
            .await;
            assert_eq!(seen["ready"], false, "{seen}");
            let (status, _) = http_get(process.ops_address(), "/healthz").await.expect("/healthz");
            assert_eq!(status, 200);
        }
    }
}

/// Every setting except the master key has a default. (The test sets the servers' addresses so that it
/// touches none.)
#[tokio::test]
async fn only_the_master_key_is_required() {
    for service in SERVICES {
        let ops = Port::reserve();
        let api = Port::reserve();
        let away = Port::reserve();
        let key = if service == "router" { "" } else { KEY };
        let mut command = Command::new(binaries::binary_path(service));
        command.env_clear().env("DATABASE_URL", format!("postgres://postgres@{}/x", away.address()));
        command.env("AMQP_URL", format!("amqp://guest:guest@{}/%2f", away.address()));
        command.env("POSTRIDER_OPS_LISTEN", ops.address().to_string());
        command.env("POSTRIDER_API_LISTEN", api.address().to_string());
        if !key.is_empty() {
            command.env("POSTRIDER_MASTER_KEY", key);
        }
        let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("the service");
        let what = format!("{service} starts");
        let healthy = e2e::poll::eventually(&what, WAIT_TIMEOUT, async || {
            match http_get(ops.address(), "/healthz").await {
                Ok((200, _)) => Ok(true),
                other => Err(format!("{other:?}")),
            }
        });
        let healthy = tokio::select! {
            healthy = healthy => healthy,
            () = wait_exit(&mut child) => false,
        };
        let _ = child.kill();
        let output = child.wait_with_output().expect("the service");
        assert!(healthy, "{service} did not start: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Returns when the process has ended.
async fn wait_exit(child: &mut std::process::Child) {
    while let Ok(None) = child.try_wait() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn metrics_are_served_in_prometheus_format() {
    let mut platform = Platform::start().await;
    for process in platform.processes_mut() {
        let (status, text) = http_get(process.ops_address(), "/metrics").await.expect("/metrics");
        assert_eq!(status, 200);
        assert!(
            text.lines().all(|line| line.is_empty() || line.starts_with('#') || line.contains(' ')),
            "{text}"
        );
    }
}

#[tokio::test]
async fn logs_can_be_json() {
    let mut platform = Platform::builder().set("POSTRIDER_LOG_FORMAT", "json").start().await;
    for process in platform.processes_mut() {
        let _ = process.terminate().await;
        for line in process.read_log().lines() {
            let line: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(line["level"].is_string(), "{line}");
        }
    }
}

#[tokio::test]
async fn any_number_of_replicas_start_at_once_on_an_empty_database() {
    let platform = Platform::builder().apis(2).routers(2).deliverers(2).start().await;
    let brand = platform.create_brand("acme").await;
    let receiver = e2e::receiver::Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    brand.create_webhook(endpoint.url(), &["*"]).await;
    platform.producer().await.publish_all(&Event::sms_batch("acme", 20)).await;
    let requests = endpoint.wait_for_requests(20).await;
    assert_eq!(requests.len(), 20);
}

/// The programs that users get.
const PROGRAMS: [&str; 4] = ["subscription-api", "router", "deliverer", "postrider"];
const CHANGES: &str = include_str!("../../crates/CHANGELOG.md");

#[test]
fn every_program_and_the_changelog_have_the_workspace_version() {
    let version = env!("CARGO_PKG_VERSION");
    for program in PROGRAMS {
        let output = run_service(program, &["--version"], &[]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{program}: {}", output.status);
        assert_eq!(text.trim_end(), format!("{program} {version}"));
    }
    let latest = CHANGES.lines().find_map(|line| line.strip_prefix("## ")).expect("a version");
    assert!(
        latest == version || latest.starts_with(&format!("{version},")),
        "the changes begin with {latest}"
    );
}
