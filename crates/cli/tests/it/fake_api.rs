//! An HTTP server with prepared answers, which records the requests.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A request as the server received it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Method, path and query, such as `GET /v1/me?a=b`.
    pub(crate) line: String,
    pub(crate) token: String,
    pub(crate) body: String,
}

#[derive(Debug, Default)]
struct State {
    /// The answers to a method and path, in turn. The last one is repeated.
    answers: HashMap<String, Vec<(u16, String)>>,
    seen: Vec<Seen>,
}

/// A fake of the API, which runs until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct FakeApi {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl FakeApi {
    /// Starts a server at which every token is support's.
    pub(crate) fn for_support() -> Self {
        Self::start().answer("GET /v1/me", 200, &json!({"role": "support", "brandId": null, "name": null}))
    }

    /// Starts a server at which every token is of the brand `acme`.
    pub(crate) fn for_brand() -> Self {
        Self::start().answer("GET /v1/me", 200, &json!({"role": "write", "brandId": "acme", "name": "ci"}))
    }

    /// Starts a server that refuses every token.
    pub(crate) fn refusing() -> Self {
        let problem = json!({"title": "Unauthorized", "detail": "this is no valid token"});
        Self::start().answer("GET /v1/me", 401, &problem)
    }

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        // It ends with the process of the test.
        drop(std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.expect("a connection"), &shared);
            }
        }));
        Self { url, state }
    }

    /// Prepares an answer to a method and path, after the earlier ones.
    pub(crate) fn answer(self, line: &str, status: u16, body: &Value) -> Self {
        self.answer_text(line, status, &body.to_string())
    }

    /// Prepares an answer as text.
    pub(crate) fn answer_text(self, line: &str, status: u16, body: &str) -> Self {
        let mut state = self.state.lock().expect("the state");
        state.answers.entry(line.to_owned()).or_default().push((status, body.to_owned()));
        drop(state);
        self
    }

    /// Returns the requests so far, without the requests for the owner of the token.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let seen = self.state.lock().expect("the state").seen.clone();
        seen.into_iter().filter(|seen| seen.line != "GET /v1/me").collect()
    }

    /// Returns the tokens of all requests so far.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.state.lock().expect("the state").seen.iter().map(|seen| seen.token.clone()).collect()
    }

    /// Returns the token of the last request.
    pub(crate) fn last_token(&self) -> String {
        self.tokens().pop().expect("a request")
    }

    /// Returns the lines of the requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

/// A page of a list.
pub(crate) fn page(items: &Value, next: Option<&str>) -> Value {
    json!({"items": items, "nextCursor": next})
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        // A test that runs beside may still call the address, which belonged to a server of its own before.
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let line = head.iter().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    if head.first().is_none_or(|line| !line.ends_with(" HTTP/1.1")) {
        return;
    }
    let length = header("content-length").map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let line = head[0].trim_end_matches(" HTTP/1.1").to_owned();
    let token = header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    let (status, answer) = {
        let mut state = state.lock().expect("the state");
        let body = String::from_utf8(body).expect("text");
        state.seen.push(Seen { line: line.clone(), token, body });
        let path = line.split('?').next().unwrap_or_default();
        let missing = || (404, json!({"title": "Not Found", "detail": format!("no {path}")}).to_string());
        match state.answers.get_mut(path) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
            None => missing(),
        }
    };
    let length = answer.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    // The tool may have gone away.
    let _ = reader.get_mut().write_all(format!("{head}{answer}").as_bytes());
}
