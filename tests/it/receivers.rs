//! The receivers of the docs, each as a server. They accept a request of the platform, and refuse all others.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::poll::eventually;
use e2e::ports::Port;
use e2e::receiver::Received;
use e2e::{WAIT_TIMEOUT, signature};
use http::HeaderMap;

use crate::Stage;
use crate::python::interpreter;

// The snippet is written for a crate of the reader's own.
#[allow(unreachable_pub, dead_code, clippy::print_stdout)]
#[path = "../../crates/subscription-api/docs/snippets/receive.rs"]
mod receive;

const ACCEPTED: u16 = 204;
const REFUSED: u16 = 400;

fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn snippet(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/subscription-api/docs/snippets").join(name)
}

/// A receiver of the docs as a process.
struct Receiver {
    process: Child,
    port: Port,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended by itself; the test has seen its responses.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Receiver {
    /// Starts a program in `folder`, and waits until it listens. `command` gets the port.
    async fn start(folder: &Path, secret: &str, command: impl FnOnce(u16) -> Command) -> Self {
        let port = Port::reserve();
        let mut command = command(port.number());
        command.current_dir(folder).env("WEBHOOK_SECRET", secret).env("PORT", port.number().to_string());
        let log = std::fs::File::create(folder.join("receiver.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("{command:?}: {error} (deploy/test installs what the snippets of the docs are run with)")
        });
        let receiver = Self { process, port };
        let address = receiver.port.address();
        eventually("the receiver listens", WAIT_TIMEOUT, async || {
            let log = || std::fs::read_to_string(folder.join("receiver.log")).unwrap_or_default();
            tokio::net::TcpStream::connect(address)
                .await
                .map(drop)
                .map_err(|error| format!("{error}: {}", log()))
        })
        .await;
        receiver
    }

    fn url(&self) -> String {
        format!("http://{}/webhooks", self.port.address())
    }
}

/// A request of the platform and what a receiver has to make of variants of it.
struct Requests {
    secret: String,
    headers: HeaderMap,
    body: String,
}

impl Requests {
    fn new(secret: &str, received: &Received) -> Self {
        let wanted = ["content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers = received.headers.iter().filter(|(name, _)| wanted.contains(&name.as_str()));
        let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { secret: secret.to_owned(), headers, body: received.text().to_owned() }
    }

    /// The headers of the same request an hour ago, with a genuine signature.
    fn old_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let then = (signature::unix_now() - 3600).to_string();
        let id = headers["webhook-id"].to_str().expect("text").to_owned();
        let signed = signature::sign(&self.secret, &id, &then, self.body.as_bytes()).expect("a secret");
        headers.insert("webhook-timestamp", then.parse().expect("digits"));
        headers.insert("webhook-signature", signed.parse().expect("base64"));
        headers
    }

    fn without(&self, name: &str) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove(name).expect("the platform sends it");
        headers
    }

    /// The headers during a rotation: another signature comes before the genuine one.
    fn rotated(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let both =
            format!("v1,{} {}", "A".repeat(43) + "=", headers["webhook-signature"].to_str().expect("text"));
        headers.insert("webhook-signature", both.parse().expect("base64"));
        headers
    }

    /// Sends the request and its variants, and compares the statuses.
    async fn check(&self, language: &str, url: &str) {
        let altered = self.body.replace("acme", "acne");
        let cases = [
            ("a request of the platform", &self.body, self.headers.clone(), ACCEPTED),
            ("the same request again", &self.body, self.headers.clone(), ACCEPTED),
            ("two signatures", &self.body, self.rotated(), ACCEPTED),
            ("a changed body", &altered, self.headers.clone(), REFUSED),
            ("an old request", &self.body, self.old_headers(), REFUSED),
            ("no signature", &self.body, self.without("webhook-signature"), REFUSED),
            ("no timestamp", &self.body, self.without("webhook-timestamp"), REFUSED),
            ("no id", &self.body, self.without("webhook-id"), REFUSED),
        ];
        let client = reqwest::Client::new();
        for (what, body, headers, wanted) in cases {
            let sent = client.post(url).headers(headers).body(body.clone()).send().await;
            let status = sent.unwrap_or_else(|error| panic!("{language}: {what}: {error}")).status().as_u16();
            assert_eq!(status, wanted, "{language}: {what}");
        }
    }
}

/// Publishes an event whose data a JSON parser would change, and returns the request for it.
async fn genuine_request(stage: &Stage) -> Requests {
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let event = e2e::event::Event::sms("acme")
        .data(r#"{"amount":1.10,  "name":"J\u00fcrgen Groß","id":12345678901234567890}"#);
    stage.publish_event(&event).await;
    let received = endpoint.wait_for_event(event.id()).await;
    Requests::new(&webhook.secret, &received)
}

/// Creates a folder with copies of these files and folders.
fn folder_with(stage: &Stage, name: &str, files: &[(PathBuf, &str)]) -> PathBuf {
    let folder = stage.platform.dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (from, to) in files {
        copy(from, &folder.join(to));
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        return;
    }
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn node_and_python_receivers_accept_genuine_requests_only() {
    let stage = Stage::new().await;
    let requests = genuine_request(&stage).await;
    let node = folder_with(&stage, "node", &[(snippet("receive.mjs"), "receive.mjs")]);
    let modules = tests_dir().join("node_modules");
    assert!(modules.join("express").is_dir(), "run npm ci in tests/docs (deploy/test does)");
    std::os::unix::fs::symlink(modules, node.join("node_modules")).expect("a link");
    let receiver = Receiver::start(&node, &requests.secret, |_| command("node", &["receive.mjs"])).await;
    requests.check("Node.js", &receiver.url()).await;

    let python = folder_with(&stage, "python", &[(snippet("receive.py"), "receive.py")]);
    let receiver =
        Receiver::start(&python, &requests.secret, |_| command(interpreter(), &["receive.py"])).await;
    requests.check("Python", &receiver.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn php_receivers_accept_genuine_requests_only() {
    let stage = Stage::new().await;
    let requests = genuine_request(&stage).await;
    let files = [
        (tests_dir().join("libraries/php"), "vendor"),
        (tests_dir().join("autoload.php"), "vendor/autoload.php"),
        (tests_dir().join("laravel.php"), "laravel.php"),
        (snippet("WebhookController.php"), "WebhookController.php"),
        (snippet("receive.php"), "receive.php"),
    ];
    let php = folder_with(&stage, "php", &files);
    for (name, script) in [("PHP", "receive.php"), ("Laravel", "laravel.php")] {
        let serve = |port: u16| command("php", &["-S", &format!("127.0.0.1:{port}"), script]);
        let receiver = Receiver::start(&php, &requests.secret, serve).await;
        requests.check(name, &receiver.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn go_receiver_accepts_genuine_requests_only() {
    let stage = Stage::new().await;
    let requests = genuine_request(&stage).await;
    let files = [
        (tests_dir().join("libraries"), "libraries"),
        (tests_dir().join("go.mod"), "go.mod"),
        (snippet("receive.go"), "main.go"),
    ];
    let go = folder_with(&stage, "go", &files);
    let mut build = command("go", &["build", "-o", "receiver", "."]);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache");
    // The library is in the folder; nothing is downloaded.
    build.current_dir(&go).envs([("GOFLAGS", "-mod=mod"), ("GOPROXY", "off")]).env("GOCACHE", cache);
    let output =
        build.output().unwrap_or_else(|error| panic!("go: {error} (deploy/test installs golang-go)"));
    assert!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
    let receiver = Receiver::start(&go, &requests.secret, |_| command("./receiver", &[])).await;
    requests.check("Go", &receiver.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rails_receiver_accepts_genuine_requests_only() {
    let stage = Stage::new().await;
    let requests = genuine_request(&stage).await;
    let files = [
        (tests_dir().join("rails.ru"), "rails.ru"),
        (snippet("webhooks_controller.rb"), "webhooks_controller.rb"),
    ];
    let rails = folder_with(&stage, "rails", &files);
    let serve = |port: u16| {
        let mut puma =
            command("puma", &["--quiet", "--bind", &format!("tcp://127.0.0.1:{port}"), "rails.ru"]);
        puma.env("RUBYLIB", tests_dir().join("libraries/ruby"));
        puma
    };
    let receiver = Receiver::start(&rails, &requests.secret, serve).await;
    requests.check("Rails", &receiver.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_receiver_accepts_genuine_requests_only() {
    let stage = Stage::new().await;
    let requests = genuine_request(&stage).await;
    let routes = receive::routes(&requests.secret).expect("a secret");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/webhooks", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    requests.check("Rust", &url).await;
    server.abort();
}

/// The script of the page "Receive your first event" sends a request that a receiver accepts.
#[tokio::test(flavor = "multi_thread")]
async fn script_of_the_start_page_sends_a_valid_request() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let routes = receive::routes(SECRET).expect("a secret");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/webhooks", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    for (secret, tamper, wanted) in [(SECRET, "", ACCEPTED), (other, "", REFUSED), (SECRET, "1", REFUSED)] {
        let mut script = command(snippet("send.sh"), &[&url]);
        script.env("WEBHOOK_SECRET", secret).env("TAMPER", tamper);
        let output = tokio::task::spawn_blocking(move || script.output());
        let output = output.await.expect("it ends").expect("bash, curl and openssl");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), wanted.to_string(), "{output:?}");
    }
    server.abort();
}
