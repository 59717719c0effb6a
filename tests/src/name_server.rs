//! A DNS server whose names the test chooses, for `POSTRIDER_DNS_SERVERS`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};

/// Length of the header of a message (RFC 1035 §4.1.1).
const HEADER_BYTES: usize = 12;
/// Flags of an answer from a recursive server without an error.
const ANSWERED: u16 = 0x8180;
/// The same for a name that does not exist.
const NO_SUCH_NAME: u16 = 0x8183;
/// A reference to the name of the question.
const NAME_OF_QUESTION: u16 = 0xc00c;
const CLASS_INTERNET: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// A DNS server on a port of its own, over UDP. It stops when it is dropped.
///
/// Names that the test did not set do not exist. Answers may not be cached, so that a change takes effect at once.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    socket: Arc<UdpSocket>,
}

#[derive(Debug, Default)]
struct Zone {
    names: HashMap<String, Vec<IpAddr>>,
    /// The server does not answer queries for names that end with one of these.
    silent: Vec<String>,
    is_closed: bool,
}

impl NameServer {
    /// Starts it, with a thread of its own: a resolver does not wait for a test whose runtime is busy.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start() -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let address = socket.local_addr().expect("an address");
        let zone: Arc<Mutex<Zone>> = Arc::default();
        let (own_socket, own_zone) = (Arc::clone(&socket), Arc::clone(&zone));
        std::thread::spawn(move || answer_queries(&own_socket, &own_zone));
        Self { address, zone, socket }
    }

    /// Returns the value of `POSTRIDER_DNS_SERVERS`.
    #[must_use]
    pub fn setting(&self) -> String {
        self.address.to_string()
    }

    /// Gives a name these addresses from now on.
    ///
    /// # Panics
    /// When one of them is none.
    pub fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        lock(&self.zone).names.insert(name.to_owned(), addresses);
    }

    /// Answers no query any more for names that end with `suffix`; with an empty one, none at all.
    pub fn silence(&self, suffix: &str) {
        lock(&self.zone).silent.push(suffix.to_owned());
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        lock(&self.zone).is_closed = true;
        // Wakes the thread.
        let _ = self.socket.send_to(&[], self.address);
    }
}

fn lock(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().expect("no holder panics")
}

fn answer_queries(socket: &UdpSocket, zone: &Mutex<Zone>) {
    let mut query = [0; 1500];
    while let Ok((length, client)) = socket.recv_from(&mut query) {
        let answer = {
            let zone = lock(zone);
            if zone.is_closed {
                return;
            }
            answer_query(&query[..length], &zone)
        };
        if let Some(answer) = answer {
            // The client repeats a query whose answer is lost.
            let _ = socket.send_to(&answer, client);
        }
    }
}

/// Returns the answer to a query, or nothing if the server is silent about its name.
fn answer_query(query: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (name, question_end) = read_name(query)?;
    if zone.silent.iter().any(|suffix| name.ends_with(suffix.as_str())) {
        return None;
    }
    let kind = u16::from_be_bytes(query.get(question_end..question_end + 2)?.try_into().ok()?);
    let records: Vec<Vec<u8>> =
        zone.names.get(&name).into_iter().flatten().filter_map(|a| record(*a, kind)).collect();
    // The root exists, although the test did not set it.
    let flags = if zone.names.contains_key(&name) || name.is_empty() { ANSWERED } else { NO_SUCH_NAME };
    let count = u16::try_from(records.len()).ok()?;
    let mut answer = query.get(..2)?.to_vec();
    for field in [flags, 1, count, 0, 0] {
        answer.extend(field.to_be_bytes());
    }
    answer.extend(query.get(HEADER_BYTES..question_end + 4)?);
    answer.extend(records.concat());
    Some(answer)
}

/// Reads the name of the question, and returns it with the position of the question's type.
fn read_name(query: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = query.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

/// Returns the record of an address, if it is of the requested type.
fn record(address: IpAddr, kind: u16) -> Option<Vec<u8>> {
    let (own_kind, bytes) = match address {
        IpAddr::V4(address) => (TYPE_A, address.octets().to_vec()),
        IpAddr::V6(address) => (TYPE_AAAA, address.octets().to_vec()),
    };
    let length = u16::try_from(bytes.len()).ok()?;
    // The two zeros are the time to live.
    let fields = [NAME_OF_QUESTION, own_kind, CLASS_INTERNET, 0, 0, length];
    let head = fields.into_iter().flat_map(u16::to_be_bytes);
    (own_kind == kind).then(|| head.chain(bytes).collect())
}
