//! The snippets of the docs, run as shown. They verify the platform's requests, and the events that they
//! publish arrive.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use e2e::event::SMS;
use e2e::poll::eventually;
use e2e::receiver::Received;
use e2e::{WAIT_TIMEOUT, signature};
use serde_json::{Value, json};

use crate::Stage;
use crate::python::interpreter;

// The snippet is written for a crate of the reader's own.
#[allow(unreachable_pub)]
#[path = "../../crates/subscription-api/docs/snippets/produce.rs"]
mod produce;
#[allow(unreachable_pub)]
#[path = "../../crates/subscription-api/docs/snippets/verify.rs"]
mod verify;

const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
/// Each language's program that reads a request as JSON, calls the snippet, and prints the result.
const PYTHON: &str = "import json, sys; sys.path.insert(0, sys.argv[1]); from verify import verify; r = json.load(sys.stdin); \
     print(json.dumps(verify(r['secret'], r['headers'], r['body'].encode())))";
const NODE: &str = "import { readFileSync } from 'node:fs'; const { verify } = await import(`${process.argv[1]}/verify.mjs`); \
     const r = JSON.parse(readFileSync(0)); console.log(verify(r.secret, r.headers, Buffer.from(r.body)));";
const PHP: &str = "require \"$argv[1]/verify.php\"; $r = json_decode(stream_get_contents(STDIN), true); \
     echo json_encode(verify($r['secret'], $r['headers'], $r['body']));";

/// The program for `verify_v1a.mjs`, whose secret is a public key.
const NODE_V1A: &str = "import { readFileSync } from 'node:fs'; const { verify } = await import(`${process.argv[1]}/verify_v1a.mjs`); \
     const r = JSON.parse(readFileSync(0)); console.log(verify(r.secret, r.headers, Buffer.from(r.body)));";

/// Builds the program that calls the snippet in Go, once for all requests. It needs the standard library only.
fn go_verifier() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = temporary.join("go-verifier");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::copy(snippets_dir().join("verify.go"), folder.join("verify.go")).expect("a copy");
        let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify_main.go");
        std::fs::copy(main, folder.join("main.go")).expect("a copy");
        std::fs::write(folder.join("go.mod"), "module verifier\n\ngo 1.19\n").expect("a file");
        let mut build = Command::new("go");
        build.args(["build", "-buildvcs=false", "-o", "verifier", "."]).current_dir(&folder);
        build.env("GOPROXY", "off").env("GOCACHE", temporary.join("go-cache"));
        let output = run_with_input(build, b"");
        assert!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
        folder.join("verifier")
    })
}

fn snippets_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/subscription-api/docs/snippets")
}

fn run_with_input(mut command: Command, input: &[u8]) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| {
        panic!("{command:?}: {error} (deploy/test installs what the snippets of the docs are run with)")
    });
    match child.stdin.take().expect("a pipe").write_all(input) {
        // A program that has seen enough in its arguments exits without reading.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.expect("it reads"),
    }
    child.wait_with_output().expect("it ends")
}

/// A request with the secret to verify it with.
#[derive(Clone)]
struct Request {
    secret: String,
    headers: http::HeaderMap,
    body: String,
}

impl Request {
    fn new(secret: &str, received: &Received) -> Self {
        let headers = received.headers.clone();
        let body = received.text().to_owned();
        Self { secret: secret.to_owned(), headers, body }
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }

    /// The same request, sent this number of seconds ago and signed with the secret.
    fn signed_again(mut self, seconds_ago: u64) -> Self {
        let then = (signature::unix_now() - seconds_ago).to_string();
        let id = self.header("webhook-id").to_owned();
        let signed = signature::sign(&self.secret, &id, &then, self.body.as_bytes()).expect("a secret");
        self.headers.insert("webhook-timestamp", then.parse().expect("digits"));
        self.headers.insert("webhook-signature", signed.parse().expect("base64"));
        self
    }

    /// The same request, sent an hour ago.
    fn old(self) -> Self {
        self.signed_again(3600)
    }

    fn altered(mut self) -> Self {
        self.body = self.body.replace("acme", "acne");
        self
    }

    fn as_json(&self) -> Value {
        let headers: serde_json::Map<_, _> =
            HEADERS.iter().map(|name| ((*name).to_owned(), json!(self.header(name)))).collect();
        json!({"secret": self.secret, "headers": headers, "body": self.body})
    }

    /// Returns the verdict of the snippet in an interpreted language.
    fn interpreted(&self, program: impl Into<OsString>, args: &[&str]) -> bool {
        let mut command = Command::new(program.into());
        command.args(args).arg(snippets_dir());
        let output = run_with_input(command, self.as_json().to_string().as_bytes());
        let error = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args:?}: {error}"))
    }

    fn shell(&self) -> bool {
        let mut command = Command::new(snippets_dir().join("verify.sh"));
        command.env("WEBHOOK_SECRET", &self.secret).args(HEADERS.map(|name| self.header(name)));
        let output = run_with_input(command, self.body.as_bytes());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.is_empty() && matches!(output.status.code(), Some(0 | 1)), "verify.sh: {error}");
        output.status.success()
    }

    /// Returns the verdict of each snippet, by language.
    fn verdicts(&self) -> [(&'static str, bool); 6] {
        let rust = verify::verify(&self.secret, &self.headers, self.body.as_bytes());
        [
            ("Python", self.interpreted(interpreter(), &["-c", PYTHON])),
            ("Node.js", self.interpreted("node", &["--input-type=module", "-e", NODE])),
            ("PHP", self.interpreted("php", &["-r", PHP, "--"])),
            ("Go", self.interpreted(go_verifier(), &[])),
            ("Rust", rust.expect("all headers are there")),
            ("Bash", self.shell()),
        ]
    }
}

fn assert_all(request: &Request, wanted: bool, what: &str) {
    for (language, verdict) in request.verdicts() {
        assert_eq!(verdict, wanted, "{language}: {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snippets_verify_only_genuine_requests() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    stage.publish_many(1).await;
    let first = Request::new(&webhook.secret, &endpoint.wait_for_requests(1).await[0]);
    assert_all(&first, true, "a request of the platform");
    assert_all(&first.clone().altered(), false, "an altered body");
    assert_all(&first.clone().old(), false, "an old request");
    let unset = Request { secret: "whsec_".to_owned(), ..first.clone() };
    assert_all(&unset.signed_again(0), false, "an empty secret");
    let rotate = stage.brand.webhook_path(&webhook, "/secret/rotate");
    let rotated = stage.brand.api.post(&rotate, &json!({})).await.expect_status(200).json();
    let other = rotated["secret"].as_str().expect("a secret");
    assert_all(&Request { secret: other.to_owned(), ..first }, false, "another secret");
    // Both sign as soon as the deliverer has learned of the new secret.
    let both = eventually("both secrets sign", WAIT_TIMEOUT, async || {
        let event = stage.publish_many(1).await.remove(0);
        let request = endpoint.wait_for_event(event.id()).await;
        let signatures = request.header("webhook-signature").split(' ').count();
        if signatures == 2 { Ok(request) } else { Err(signatures.to_string()) }
    })
    .await;
    for secret in [webhook.secret.as_str(), other] {
        assert_all(&Request::new(secret, &both), true, "either secret during a rotation");
    }
}

/// The snippet for `v1a` needs the public key alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_snippet_for_public_keys_verifies_only_genuine_requests() {
    let stage = Stage::new().await;
    let endpoint = stage.receiver.endpoint("/hook");
    let settings = json!({"endpoint": endpoint.url(), "events": [SMS], "signatures": ["v1", "v1a"]});
    let webhook = stage.brand.create_webhook_with(&settings).await;
    let other = stage.brand.create_webhook_with(&settings).await;
    let public_key = |json: &Value| json["publicKey"].as_str().expect("a key").to_owned();
    stage.publish_many(1).await;
    let requests = endpoint.wait_for_requests(2).await;
    let own = |request: &&std::sync::Arc<Received>| request.json()["webhookId"] == webhook.json["id"];
    let request = requests.iter().find(own).expect("each webhook gets the event");
    let request = Request::new(&public_key(&webhook.json), request);
    let is_verified =
        |request: &Request| request.interpreted("node", &["--input-type=module", "-e", NODE_V1A]);
    assert!(is_verified(&request), "a request of the platform");
    assert!(!is_verified(&request.clone().altered()), "an altered body");
    assert!(!is_verified(&Request { secret: public_key(&other.json), ..request }), "another webhook's key");
}

/// Runs a program that publishes, with the environment variables that the snippets read.
fn run_publisher(stage: &Stage, mut command: Command) {
    command.env("AMQP_URL", stage.platform.amqp_url());
    command.env("EXCHANGE", format!("{}.events", stage.platform.namespace));
    command.env("POSTRIDER_URL", format!("http://{}", stage.platform.api_address()));
    command.env("POSTRIDER_TOKEN", stage.brand.api.token());
    let output = run_with_input(command, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Node looks for the imports of a module beside the module.
fn node_module(stage: &Stage) -> PathBuf {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/node_modules");
    assert!(modules.is_dir(), "run npm ci in tests/docs (deploy/test does)");
    let place = stage.platform.dir().join("produce.mjs");
    std::fs::copy(snippets_dir().join("produce.mjs"), &place).expect("a copy");
    std::os::unix::fs::symlink(modules, stage.platform.dir().join("node_modules")).expect("a link");
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_snippets_arrive_once_despite_repeated_runs() {
    let stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let module = node_module(&stage);
    let exchange = format!("{}.events", stage.platform.namespace);
    for _ in 0..2 {
        let mut python = Command::new(interpreter());
        python.arg(snippets_dir().join("produce.py"));
        run_publisher(&stage, python);
        let mut node = Command::new("node");
        node.arg(&module);
        run_publisher(&stage, node);
        run_publisher(&stage, Command::new(snippets_dir().join("produce.sh")));
        assert!(produce::produce(stage.platform.amqp_url(), &exchange).await.expect("a confirm"));
    }
    let last = stage.publish_many(1).await.remove(0);
    endpoint.wait_for_event(last.id()).await;
    let requests = endpoint.wait_for_requests(5).await;
    let mut from: Vec<String> = requests
        .iter()
        .filter(|request| request.event_id() != last.id())
        .map(|request| request.json()["data"]["message"].as_str().expect("a message").to_owned())
        .collect();
    from.sort();
    assert_eq!(from, ["from Node", "from Python", "from Rust", "from curl"]);
}

/// The tool understands every line of the docs that begins with `postrider`.
#[test]
fn every_command_line_in_the_docs_is_valid() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/subscription-api/docs");
    let mut seen = 0;
    for entry in std::fs::read_dir(docs).expect("the docs") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for line in std::fs::read_to_string(&path).expect("text").lines() {
            if line.starts_with("postrider ") {
                check_line(line);
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "{seen} lines");
}

/// The tool reads its command line before it asks for a token. Without a token it exits with status 1 and
/// says so; a command line that it does not understand is status 2. `verify` reads its request first, and without a
/// home `login` has no place for its file.
fn check_line(line: &str) {
    let line = line.replacen("postrider", "\"$POSTRIDER\"", 1);
    let mut shell = Command::new("bash");
    shell.args(["-c", &line]).env_clear().env("POSTRIDER", e2e::binaries::binary_path("postrider"));
    let output = run_with_input(shell, b"");
    let error = String::from_utf8_lossy(&output.stderr);
    let reasons = ["give a token", "No such file", "profiles need a home"];
    let is_explained = reasons.iter().any(|reason| error.contains(reason));
    assert!(output.status.code() == Some(1) && is_explained, "{line}: {error}");
}
