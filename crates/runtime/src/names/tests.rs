//! Lookups against a name server of the test, over real sockets.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use futures_util::future::join_all;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::SOA;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;

/// Timeouts of the tests: long enough for a busy machine, short enough to wait for.
const TIMEOUTS: LookupTimeouts =
    LookupTimeouts { wait: Duration::from_secs(1), answer: Duration::from_secs(6) };
/// Time within which an answer of this machine arrives although the machine is busy.
const PROMPT: Duration = Duration::from_secs(4);

/// The server's answer to one query.
enum Reply {
    Addresses(Vec<IpAddr>, u32),
    Code(ResponseCode),
    /// No such name, with the time to live of its zone's negative answers.
    NegativeFor(u32),
    /// Over UDP the truncation flag alone; over TCP these addresses.
    OverTcpAlone(Vec<IpAddr>),
    Nothing,
}

type Zone = dyn Fn(&str, RecordType) -> Reply + Send + Sync;

/// A name server on a port of its own, over UDP and TCP.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server. It knows the root of the DNS, unless `zone` says otherwise.
    async fn start(zone: impl Fn(&str, RecordType) -> Reply + Send + Sync + 'static) -> Self {
        let (udp, tcp) = bind_both().await;
        let address = udp.local_addr().expect("its address");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let zone: Arc<Zone> = Arc::new(zone);
        tasks::spawn_named("udp", serve_udp(udp, Arc::clone(&zone), Arc::clone(&asked)));
        tasks::spawn_named("tcp", serve_tcp(tcp, zone));
        Self { address, asked }
    }

    fn resolver(&self) -> NameResolver {
        resolver(&[self])
    }

    /// Returns how often a name was asked for, by either family; repeats over UDP do not count.
    fn count(&self, name: &str) -> usize {
        self.asked.lock().expect("a list").iter().filter(|asked| *asked == name).count()
    }
}

/// Binds the same port for UDP and TCP. Another process may have the port of the one already for the other.
async fn bind_both() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = udp.local_addr().expect("its address");
        match TcpListener::bind(address).await {
            Ok(tcp) => return (udp, tcp),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}"),
        }
    }
}

fn resolver(servers: &[&Server]) -> NameResolver {
    let texts: Vec<_> = servers.iter().map(|server| server.address.to_string()).collect();
    let settings = NameSettings { dns_servers: texts.join(",").parse().expect("servers") };
    NameResolver::start(&settings, TIMEOUTS)
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Zone>, asked: Arc<Mutex<Vec<String>>>) {
    let mut buffer = [0; 4096];
    // The resolver repeats a query after a third of a second, which a busy machine may take for the answer.
    let mut responses = HashMap::new();
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await.expect("a query");
        let query = Message::from_vec(&buffer[..length]).expect("a message");
        let question = &query.queries[0];
        let name = question.name().to_ascii();
        let response =
            responses.entry((query.id, name.clone(), question.query_type())).or_insert_with(|| {
                asked.lock().expect("a list").push(name);
                respond(&query, &*zone, false)
            });
        if let Some(response) = response {
            socket.send_to(response, client).await.expect("sent");
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Zone>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let zone = Arc::clone(&zone);
        tasks::spawn_named("connection", async move {
            while let Ok(length) = stream.read_u16().await {
                let mut buffer = vec![0; length.into()];
                stream.read_exact(&mut buffer).await.expect("a query");
                let query = Message::from_vec(&buffer).expect("a message");
                let Some(response) = respond(&query, &*zone, true) else { continue };
                let length = u16::try_from(response.len()).expect("a message of 64 KiB at most");
                stream.write_u16(length).await.expect("sent");
                stream.write_all(&response).await.expect("sent");
            }
        });
    }
}

fn respond(query: &Message, zone: &Zone, is_tcp: bool) -> Option<Vec<u8>> {
    let question = query.queries[0].clone();
    let record = question.query_type();
    let mut response = query.clone().into_response();
    response.metadata.recursion_available = true;
    response.additionals.clear();
    let mut add = |addresses: Vec<IpAddr>, ttl: u32| {
        let of_family = |address: &IpAddr| address.is_ipv4() == (record == RecordType::A);
        response.answers = addresses
            .into_iter()
            .filter(of_family)
            .map(|address| Record::from_rdata(question.name().clone(), ttl, RData::from(address)))
            .collect();
    };
    match zone(&question.name().to_ascii(), record) {
        Reply::Addresses(addresses, ttl) => add(addresses, ttl),
        Reply::OverTcpAlone(addresses) if is_tcp => add(addresses, 60),
        Reply::OverTcpAlone(_) => response.metadata.truncation = true,
        Reply::Code(code) => response.metadata.response_code = code,
        Reply::NegativeFor(ttl) => {
            response.metadata.response_code = ResponseCode::NXDomain;
            let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, ttl);
            response.authorities = vec![Record::from_rdata(Name::root(), ttl, RData::SOA(soa))];
        }
        Reply::Nothing => return None,
    }
    Some(response.to_vec().expect("a message"))
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

/// Returns addresses for every name, with this time to live.
fn always(texts: &[&str], ttl: u32) -> impl Fn(&str, RecordType) -> Reply + Send + Sync + use<> {
    let found = addresses(texts);
    move |_, _| Reply::Addresses(found.clone(), ttl)
}

#[tokio::test]
async fn a_name_has_the_addresses_of_both_families() {
    let server = Server::start(always(&["192.0.2.1", "2001:db8::1", "192.0.2.2"], 60)).await;
    let found = server.resolver().look_up("a", "Hooks.example.").await.expect("addresses");
    let mut found = found.to_vec();
    found.sort();
    assert_eq!(found, addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    assert_eq!(server.count("hooks.example."), 2, "one query for each family, without a search list");
}

#[tokio::test]
async fn an_answer_is_cached_unless_its_time_to_live_is_zero() {
    let answers = Arc::new(Mutex::new(vec!["192.0.2.3", "192.0.2.2", "192.0.2.1"]));
    let server = Server::start(move |name, record| match (name, record) {
        ("cached.example.", _) => Reply::Addresses(addresses(&["192.0.2.9"]), 60),
        (_, RecordType::A) => {
            let next = answers.lock().expect("a list").pop().expect("another answer");
            Reply::Addresses(addresses(&[next]), 0)
        }
        _ => Reply::Addresses(Vec::new(), 0),
    })
    .await;
    let resolver = server.resolver();
    for expected in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let found = resolver.look_up("a", "changing.example").await.expect("an address");
        assert_eq!(found.to_vec(), addresses(&[expected]), "each lookup asks again");
        resolver.look_up("a", "cached.example").await.expect("an address");
    }
    assert_eq!(server.count("cached.example."), 2);
    resolver.look_up("b", "cached.example").await.expect("an address");
    assert_eq!(server.count("cached.example."), 4, "another share has a cache of its own");
}

#[tokio::test]
async fn callers_that_ask_at_once_share_one_lookup() {
    let server = Server::start(always(&["192.0.2.1"], 0)).await;
    let resolver = server.resolver();
    let found = join_all((0..100).map(|_| resolver.look_up("a", "hooks.example"))).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(server.count("hooks.example."), 2);
}

#[tokio::test]
async fn failures_are_told_apart_and_cached() {
    let server = Server::start(|name, _| match name {
        "missing.example." => Reply::Code(ResponseCode::NXDomain),
        "missing-now.example." => Reply::NegativeFor(0),
        "empty.example." => Reply::Addresses(Vec::new(), 60),
        "broken.example." => Reply::Code(ResponseCode::ServFail),
        _ => Reply::Code(ResponseCode::Refused),
    })
    .await;
    let resolver = server.resolver();
    let find = async |name: &str| resolver.look_up("a", name).await.expect_err("no address");
    for _ in 0..2 {
        assert_eq!(find("missing.example").await, LookupError::NoSuchName);
        assert_eq!(find("missing-now.example").await, LookupError::NoSuchName);
        assert_eq!(find("empty.example").await, LookupError::NoAddress);
        assert!(matches!(find("broken.example").await, LookupError::Failed(_)));
        assert!(find("refused.example").await.is_local(), "the server serves nobody here");
    }
    assert_eq!(server.count("missing.example."), 2);
    assert_eq!(server.count("missing-now.example."), 4, "its zone forbids caching");
    assert_eq!(server.count("broken.example."), 2);
}

#[tokio::test]
async fn names_that_are_never_asked_for_need_no_server() {
    let server = Server::start(always(&["192.0.2.1"], 60)).await;
    let resolver = server.resolver();
    for name in ["webhooks.invalid", "hidden.onion"] {
        assert_eq!(resolver.look_up("a", name).await, Err(LookupError::NoSuchName), "{name}");
    }
    let long = "a".repeat(64);
    for name in ["", ".", "a..b", long.as_str()] {
        assert_eq!(resolver.look_up("a", name).await, Err(LookupError::Invalid), "{name}");
    }
    assert!(resolver.look_up("a", "localhost").await.expect("this machine")[0].is_loopback());
    assert!(resolver.look_up("a", "_under_score.example").await.is_ok());
    assert_eq!(server.asked.lock().expect("a list").len(), 2);
}

/// Answers for the root and for names of `good.example`, and is silent about all others.
fn silent_but_for_good(name: &str, _: RecordType) -> Reply {
    match name {
        "." => Reply::Code(ResponseCode::NoError),
        name if name.ends_with("good.example.") => Reply::Addresses(addresses(&["192.0.2.1"]), 0),
        _ => Reply::Nothing,
    }
}

#[tokio::test]
async fn silence_is_the_fault_of_the_name_if_the_server_answers_otherwise() {
    let server = Server::start(silent_but_for_good).await;
    let resolver = server.resolver();
    let error = resolver.look_up("a", "silent.example").await.expect_err("no address");
    assert_eq!(error, LookupError::Silent(TIMEOUTS.answer));
    assert!(server.count(".") >= 1, "the server was asked for the root");
    let asked = server.count("silent.example.");
    assert_eq!(resolver.look_up("a", "silent.example").await, Err(error));
    assert_eq!(server.count("silent.example."), asked, "silence is cached");
}

#[tokio::test]
async fn a_server_that_answers_nothing_is_a_local_failure() {
    let server = Server::start(|_, _| Reply::Nothing).await;
    let error = server.resolver().look_up("a", "silent.example").await.expect_err("no address");
    assert_eq!(error, LookupError::NoServer);
}

#[tokio::test]
async fn one_family_that_is_never_answered_does_not_hide_the_other() {
    let server = Server::start(|_, record| match record {
        RecordType::AAAA => Reply::Nothing,
        _ => Reply::Addresses(addresses(&["192.0.2.1"]), 60),
    })
    .await;
    let found = server.resolver().look_up("a", "hooks.example").await.expect("an address");
    assert_eq!(found.to_vec(), addresses(&["192.0.2.1"]));
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp() {
    let many: Vec<IpAddr> = (1..=100).map(|last| IpAddr::from([192, 0, 2, last])).collect();
    let served = many.clone();
    let server = Server::start(move |_, _| Reply::OverTcpAlone(served.clone())).await;
    let found = server.resolver().look_up("a", "large.example").await.expect("addresses");
    assert_eq!(found.len(), many.len());
}

#[tokio::test]
async fn a_huge_answer_is_refused() {
    let huge: Vec<IpAddr> = (0..1500_u32).map(|number| IpAddr::from(number.to_be_bytes())).collect();
    let server = Server::start(move |_, _| Reply::OverTcpAlone(huge.clone())).await;
    let error = server.resolver().look_up("a", "huge.example").await.expect_err("too many");
    assert!(matches!(error, LookupError::TooManyAddresses(_)), "{error}");
}

#[tokio::test]
async fn the_next_server_is_asked_when_the_first_is_silent_or_fails() {
    let good = Server::start(always(&["192.0.2.1"], 0)).await;
    for reply in [None, Some(ResponseCode::ServFail), Some(ResponseCode::Refused)] {
        let bad = Server::start(move |_, _| reply.map_or(Reply::Nothing, Reply::Code)).await;
        let found = resolver(&[&bad, &good]).look_up("a", "hooks.example").await;
        assert_eq!(found.map(|found| found.to_vec()), Ok(addresses(&["192.0.2.1"])), "{reply:?}");
    }
}

#[tokio::test]
async fn a_share_full_of_silent_names_delays_no_other_share() {
    let server = Server::start(silent_but_for_good).await;
    let resolver = server.resolver();
    let attacking = {
        let resolver = resolver.clone();
        let names: Vec<String> = (0..500).map(|number| format!("a{number}.silent.example")).collect();
        tasks::spawn_named("attacker", async move {
            let look_ups = names.iter().map(|name| resolver.look_up("attacker", name));
            join_all(look_ups).await
        })
    };
    let mut looked_up = 0;
    while !attacking.is_finished() {
        let began = Instant::now();
        resolver.look_up("victim", "good.example").await.expect("an address");
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
        looked_up += 1;
        sleep(Duration::from_millis(10)).await;
    }
    let errors = attacking.await.expect("its results");
    let silent = errors.iter().filter(|found| matches!(found, Err(LookupError::Silent(_)))).count();
    let not_begun = errors.iter().filter(|found| matches!(found, Err(LookupError::NotBegun(_)))).count();
    assert_eq!((silent, not_begun), (MAX_LOOKUPS_PER_SHARE, 500 - MAX_LOOKUPS_PER_SHARE));
    assert!(looked_up > 10, "{looked_up} lookups beside the attack");
}

#[tokio::test]
async fn a_lookup_whose_callers_leave_ends_and_frees_its_place() {
    let server = Server::start(silent_but_for_good).await;
    let resolver = server.resolver();
    let names: Vec<String> = (0..MAX_LOOKUPS_PER_SHARE).map(|n| format!("a{n}.silent.example")).collect();
    let left = join_all(names.iter().map(|name| resolver.look_up("a", name)));
    assert!(tokio::time::timeout(Duration::from_millis(50), left).await.is_err(), "they are in progress");
    assert!(resolver.look_up("a", "good.example").await.is_ok(), "their places are free");
}
