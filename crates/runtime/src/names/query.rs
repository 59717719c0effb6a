//! Asks name servers for the addresses of one name.
//!
//! Each query has sockets of its own, and nothing of it outlives it: a name whose servers do not answer cannot fill a
//! connection, a queue or a statistic that other lookups use. Both address families are asked at once. The servers are
//! asked in their order; the next is asked as well when a server fails, or does not answer for a while.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::LookupError;

/// Maximum number of addresses of a name. A client checks each of them, and keeps them while they are cached; the largest
/// pools of servers publish some fifty.
pub(super) const MAX_ADDRESSES: usize = 128;
/// Time after which the next server is asked as well. A server that knows the name answers within some hundred
/// milliseconds; two thirds of a second leave time for three servers within a lookup.
const NEXT_SERVER_DELAY: Duration = Duration::from_millis(650);
/// Longest wait for the second address family once the first has addresses. Some servers never answer queries for one
/// of them.
const SECOND_FAMILY_TIMEOUT: Duration = Duration::from_millis(500);
/// Time to live of a failure that came without one: a name that does not resolve is asked again at the first retry, which
/// comes after five seconds.
const FAILURE_TTL: Duration = Duration::from_secs(4);

/// The addresses of a name, and how long they may be cached.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ttl: Duration,
}

/// A failed query, and how long the failure may be cached.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: LookupError,
    pub(super) ttl: Duration,
}

impl From<LookupError> for Failure {
    /// Failures of this process are not cached, because they say nothing about the name.
    fn from(error: LookupError) -> Self {
        let ttl = if error.is_local() { Duration::ZERO } else { FAILURE_TTL };
        Self { error, ttl }
    }
}

/// Asks name servers, and notes when one of them answered last.
#[derive(Debug, Default)]
pub(super) struct Querier {
    last_answer: Mutex<Option<Instant>>,
    probing: tokio::sync::Mutex<()>,
}

impl Querier {
    /// Asks `servers` for the addresses of `name`, for `longest` at most.
    pub(super) async fn query_addresses(
        &self,
        servers: &[SocketAddr],
        name: &Name,
        longest: Duration,
    ) -> Result<Answer, Failure> {
        let began = Instant::now();
        let deadline = began + longest;
        let asking = async {
            let asked = self.query_both_families(servers, name, deadline).await;
            asked.and_then(|answer| check_number(answer).map_err(Failure::from))
        };
        let probing = async {
            sleep(longest / 2).await;
            self.probe_servers(servers, began, deadline).await;
            std::future::pending::<()>().await;
        };
        let result = tokio::select! {
            biased;
            result = asking => result,
            () = probing => unreachable!("it waits for good"),
        };
        match result {
            Err(Failure { error: LookupError::Silent(_), .. }) if !self.has_answered_since(began) => {
                Err(LookupError::NoServer.into())
            }
            Err(Failure { error: LookupError::Silent(_), .. }) => Err(LookupError::Silent(longest).into()),
            other => other,
        }
    }

    /// Asks the servers for the root of the DNS, which each of them knows, unless one of them has answered anything
    /// since `began`.
    ///
    /// Silence about one name is the fault of that name's own servers only if ours answer otherwise.
    async fn probe_servers(&self, servers: &[SocketAddr], began: Instant, deadline: Instant) {
        // Many lookups may become overdue at once; one probe serves all of them.
        let _one_at_a_time = self.probing.lock().await;
        if !self.has_answered_since(began) {
            let _ = self.query_servers(servers, &Name::root(), RecordType::NS, deadline).await;
        }
    }

    async fn query_both_families(
        &self,
        servers: &[SocketAddr],
        name: &Name,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let v4 = pin!(self.query_servers(servers, name, RecordType::A, deadline));
        let v6 = pin!(self.query_servers(servers, name, RecordType::AAAA, deadline));
        let (v4, v6) = match select(v4, v6).await {
            Either::Left((v4, v6)) => {
                let v6 = wait_for_second(&v4, v6).await;
                (Some(v4), v6)
            }
            Either::Right((v6, v4)) => {
                let v4 = wait_for_second(&v6, v4).await;
                (v4, Some(v6))
            }
        };
        // IPv6 first, as RFC 6724 prefers it. The client dials both, IPv4 a moment later.
        merge_families([v6, v4].into_iter().flatten())
    }

    /// Asks the servers in turn until one of them tells something certain about the name.
    async fn query_servers(
        &self,
        servers: &[SocketAddr],
        name: &Name,
        record: RecordType,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut left = servers.iter();
        let mut asked = FuturesUnordered::new();
        let mut failed: Option<Failure> = None;
        let mut next_server = pin!(sleep(Duration::ZERO));
        loop {
            tokio::select! {
                biased;
                Some(result) = asked.next() => match result {
                    Ok(answer) => return Ok(answer),
                    Err(failure) if is_certain(&failure) => return Err(failure),
                    Err(failure) => {
                        failed = Some(tell_more(failed, failure));
                        next_server.as_mut().reset(Instant::now());
                    }
                },
                () = next_server.as_mut(), if left.len() > 0 => {
                    if let Some(server) = left.next() {
                        asked.push(self.query_server(*server, name.clone(), record, deadline));
                    }
                    next_server.as_mut().reset(Instant::now() + NEXT_SERVER_DELAY);
                }
                () = sleep_until(deadline) => left = [].iter(),
            }
            let is_over = left.len() == 0 && (asked.is_empty() || Instant::now() >= deadline);
            if is_over {
                return Err(failed.unwrap_or_else(|| LookupError::Silent(Duration::ZERO).into()));
            }
        }
    }

    async fn query_server(
        &self,
        server: SocketAddr,
        name: Name,
        record: RecordType,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let longest = deadline.saturating_duration_since(Instant::now());
        let resolver = build_resolver(server, longest).map_err(read_error)?;
        // The library has the same timeout for each of its steps; this one is for their sum.
        let result = match timeout(longest, resolver.lookup(name, record)).await {
            Ok(result) => result,
            Err(_) => return Err(LookupError::Silent(longest).into()),
        };
        if !matches!(
            &result,
            Err(NetError::Timeout | NetError::Io(_) | NetError::NoConnections | NetError::Busy)
        ) {
            *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        result.map(|lookup| read_records(lookup.answers())).map_err(read_error)
    }

    fn has_answered_since(&self, began: Instant) -> bool {
        self.last_answer.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at >= began)
    }
}

/// Waits for the second address family: for a moment if the first has addresses, and otherwise until it ends.
async fn wait_for_second(
    first: &Result<Answer, Failure>,
    second: Pin<&mut impl Future<Output = Result<Answer, Failure>>>,
) -> Option<Result<Answer, Failure>> {
    if first.is_ok() { timeout(SECOND_FAMILY_TIMEOUT, second).await.ok() } else { Some(second.await) }
}

/// Joins the answers of both address families. If neither has an address, the failure that tells most is returned.
fn merge_families(results: impl Iterator<Item = Result<Answer, Failure>>) -> Result<Answer, Failure> {
    let mut merged: Option<Answer> = None;
    let mut failed: Option<Failure> = None;
    for result in results {
        match result {
            Ok(answer) => match &mut merged {
                Some(merged) => {
                    merged.ttl = merged.ttl.min(answer.ttl);
                    merged.addresses.extend(answer.addresses);
                }
                None => merged = Some(answer),
            },
            Err(failure) => failed = Some(tell_more(failed, failure)),
        }
    }
    merged.ok_or_else(|| failed.unwrap_or_else(|| LookupError::NoAddress.into()))
}

/// Returns the failure that tells more about the name.
fn tell_more(first: Option<Failure>, second: Failure) -> Failure {
    first.filter(|first| first.error.weight() >= second.error.weight()).unwrap_or(second)
}

fn check_number(mut answer: Answer) -> Result<Answer, LookupError> {
    if answer.addresses.len() > MAX_ADDRESSES {
        return Err(LookupError::TooManyAddresses(MAX_ADDRESSES));
    }
    prefer_routed_family(&mut answer.addresses);
    Ok(answer)
}

/// Moves the addresses of a family that this machine has no route to behind the others (RFC 6724 §6, rule 1).
///
/// The error of the last dialled address decides whose failure an attempt is. An address without a route would make it
/// this machine's.
fn prefer_routed_family(addresses: &mut [IpAddr]) {
    let is_unrouted = |family: fn(&IpAddr) -> bool| {
        addresses.iter().find(|address| family(address)).is_some_and(|address| !has_route(*address))
    };
    let is_v4_unrouted = is_unrouted(IpAddr::is_ipv4);
    let is_v6_unrouted = is_unrouted(IpAddr::is_ipv6);
    addresses.sort_by_key(|address| if address.is_ipv4() { is_v4_unrouted } else { is_v6_unrouted });
}

/// Returns whether this machine has a route to the address. Connecting a UDP socket sends nothing.
fn has_route(address: IpAddr) -> bool {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    UdpSocket::bind(any).and_then(|socket| socket.connect((address, 443))).is_ok()
}

/// Builds a resolver for one query: over UDP, and over TCP if the answer is truncated.
fn build_resolver(server: SocketAddr, longest: Duration) -> Result<TokioResolver, NetError> {
    let mut udp = ConnectionConfig::udp();
    let mut tcp = ConnectionConfig::tcp();
    udp.port = server.port();
    tcp.port = server.port();
    let config = NameServerConfig::new(server.ip(), true, vec![udp, tcp]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![config]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = longest;
    // Repeats and other servers are decided here; the hosts file and the cache are ours, too.
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

fn read_records(records: &[Record]) -> Answer {
    let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
    let addresses = records.iter().filter_map(|record| record.data.ip_addr()).collect();
    Answer { addresses, ttl: Duration::from_secs(ttl.into()) }
}

/// Whether another server would say the same.
fn is_certain(failure: &Failure) -> bool {
    matches!(failure.error, LookupError::NoSuchName | LookupError::NoAddress)
}

fn read_error(error: NetError) -> Failure {
    let no_records = match error {
        NetError::Dns(DnsError::NoRecordsFound(no_records)) => no_records,
        NetError::Dns(DnsError::ResponseCode(code)) => return refused_or_failed(code).into(),
        NetError::Timeout => return LookupError::Silent(Duration::ZERO).into(),
        NetError::Io(error) => return LookupError::NotAsked(error.to_string().into()).into(),
        NetError::Busy | NetError::NoConnections => {
            return LookupError::NotAsked(error.to_string().into()).into();
        }
        other => return LookupError::Failed(other.to_string().into()).into(),
    };
    let is_missing = no_records.response_code == ResponseCode::NXDomain;
    let error = if is_missing { LookupError::NoSuchName } else { LookupError::NoAddress };
    let ttl = no_records.negative_ttl.map(|seconds| Duration::from_secs(seconds.into()));
    Failure { error, ttl: ttl.map_or(FAILURE_TTL, |ttl| ttl.min(FAILURE_TTL)) }
}

/// A server that refuses does not serve this process, whatever the name.
fn refused_or_failed(code: ResponseCode) -> LookupError {
    match code {
        ResponseCode::Refused => LookupError::NotAsked("it refuses this process".into()),
        other => LookupError::Failed(other.to_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &[&str], seconds: u64) -> Result<Answer, Failure> {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        Ok(Answer { addresses, ttl: Duration::from_secs(seconds) })
    }

    #[test]
    fn both_families_are_joined_with_the_shorter_time_to_live() {
        let merged = merge_families([answer(&["2001:db8::1"], 7), answer(&["192.0.2.1"], 5)].into_iter());
        let merged = merged.expect("addresses");
        assert_eq!((merged.addresses.len(), merged.ttl), (2, Duration::from_secs(5)));
        let one = merge_families([Err(LookupError::NoAddress.into()), answer(&["192.0.2.1"], 5)].into_iter());
        assert_eq!(one.expect("an address").addresses.len(), 1);
    }

    #[test]
    fn the_failure_that_tells_most_about_the_name_is_reported() {
        let silent = LookupError::Silent(Duration::ZERO);
        let failed = LookupError::Failed("Server Failure".into());
        for (first, second, reported) in [
            (LookupError::NoAddress, silent.clone(), silent.clone()),
            (LookupError::NoServer, LookupError::NoAddress, LookupError::NoServer),
            (failed.clone(), silent.clone(), failed.clone()),
            (silent, LookupError::NoSuchName, LookupError::NoSuchName),
            (LookupError::NoAddress, LookupError::NoAddress, LookupError::NoAddress),
        ] {
            let merged = merge_families([Err(first.into()), Err(second.into())].into_iter());
            assert_eq!(merged.expect_err("no address").error, reported);
        }
    }

    #[test]
    fn more_addresses_than_are_checked_are_refused() {
        let many = vec!["127.0.0.1"; MAX_ADDRESSES + 1];
        let too_many = answer(&many, 1).expect("an answer");
        assert_eq!(
            check_number(too_many).expect_err("refused"),
            LookupError::TooManyAddresses(MAX_ADDRESSES)
        );
        let just_enough = answer(&many[1..], 1).expect("an answer");
        assert_eq!(check_number(just_enough).expect("enough").addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn an_address_without_a_route_is_dialled_last() {
        // The documentation's range of class E has no route anywhere; this machine always has a route to itself.
        let mut addresses: Vec<IpAddr> =
            ["2001:db8::1", "127.0.0.1"].map(|text| text.parse().expect("an address")).into();
        let has_v6 = has_route(addresses[0]);
        prefer_routed_family(&mut addresses);
        assert_eq!(addresses[0].is_ipv6(), has_v6, "{addresses:?}");
    }

    #[test]
    fn failures_of_this_process_are_not_cached() {
        assert_eq!(Failure::from(LookupError::NoServer).ttl, Duration::ZERO);
        assert_eq!(Failure::from(LookupError::Silent(Duration::ZERO)).ttl, FAILURE_TTL);
        let error = refused_or_failed(ResponseCode::Refused);
        assert!(error.is_local() && !refused_or_failed(ResponseCode::ServFail).is_local());
    }
}
