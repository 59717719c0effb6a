//! A name server that answers for some names and is silent about all others.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Bytes of the header of a DNS message (RFC 1035, 4.1.1).
const HEADER_BYTES: usize = 12;
/// The record type of an IPv4 address.
const TYPE_A: [u8; 2] = [0, 1];
/// Response, recursion available.
const ANSWER_FLAGS: [u8; 2] = [0x81, 0x80];
/// An answer for the question's name, of class IN, valid for a second, four bytes long.
const ANSWER_A: [u8; 12] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4];

/// A server that stops when it is dropped.
#[derive(Debug)]
pub(crate) struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// The name that it always answers for.
    name: String,
    silent: AtomicBool,
    unanswered: AtomicUsize,
}

impl NameServer {
    /// Starts a server that resolves every name to 127.0.0.1, until [`Self::fall_silent`] is called.
    /// `E2E_ISOLATION_DNS` is its address if services without a setting for it have to be tested.
    pub(crate) async fn start(name: &str) -> Self {
        let address = std::env::var("E2E_ISOLATION_DNS").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
        let socket = UdpSocket::bind(&address).await.expect("a port for the name server");
        let address = socket.local_addr().expect("an address");
        let (silent, unanswered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Arc::new(Shared { name: name.to_owned(), silent, unanswered });
        let serving = tokio::spawn(serve(socket, shared.clone()));
        Self { address, shared, serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leaves all questions unanswered from now on, except the ones for the chosen name.
    pub(crate) fn fall_silent(&self) {
        self.shared.silent.store(true, Ordering::Relaxed);
    }

    /// Returns the number of questions that it did not answer.
    pub(crate) fn count_unanswered(&self) -> usize {
        self.shared.unanswered.load(Ordering::Relaxed)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; 1500];
    loop {
        let Ok((bytes, peer)) = socket.recv_from(&mut buffer).await else { continue };
        match answer(&buffer[..bytes], &shared) {
            Some(answer) => drop(socket.send_to(&answer, peer).await),
            None => drop(shared.unanswered.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// Returns the answer to a question, unless the server is silent about its name.
fn answer(question: &[u8], shared: &Shared) -> Option<Vec<u8>> {
    let (name, end) = read_name(question)?;
    let record_type = question.get(end..end + 2)?;
    if shared.silent.load(Ordering::Relaxed) && name != shared.name {
        return None;
    }
    let has_address = record_type == TYPE_A;
    let mut answer = question[..2].to_vec();
    answer.extend(ANSWER_FLAGS);
    answer.extend([0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
    answer.extend(&question[HEADER_BYTES..end + 4]);
    if has_address {
        answer.extend(ANSWER_A);
        answer.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(answer)
}

/// Returns the name of a question in lower case, and the position behind it.
fn read_name(question: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return question.get(at..at + 4).map(|_| (labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}
