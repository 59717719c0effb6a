//! The health check of a container, whose image has neither a shell nor an HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::Error;

/// Time for the whole check, below the timeout of the image's health check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest answer that is read. `/readyz` answers with a few hundred bytes.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Succeeds if the service on this machine answers 200.
pub(crate) async fn check_health(ops_listen: SocketAddr, path: &str) -> Result<(), Error> {
    let address = loopback_of(ops_listen);
    let answer = tokio::time::timeout(CHECK_TIMEOUT, request(address, path)).await;
    let unhealthy = |reason: String| Error::Unhealthy(format!("http://{address}{path}: {reason}"));
    let answer = answer
        .map_err(|_| unhealthy(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())))?
        .map_err(|error| unhealthy(error.to_string()))?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(unhealthy(answer.lines().next_back().unwrap_or("an empty answer").to_owned())),
    }
}

/// Returns the address at which this machine reaches a listener.
fn loopback_of(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Sends `GET path`, and returns the whole answer.
async fn request(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// Answers one request with this text.
    async fn listener_with(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        // The test ends with the answer.
        drop(std::thread::spawn(move || {
            let listener = listener.into_std().expect("a listener");
            listener.set_nonblocking(false).expect("a blocking listener");
            let (mut stream, _) = listener.accept().expect("a client");
            let mut head = [0; 256];
            let read = std::io::Read::read(&mut stream, &mut head).expect("a request");
            assert!(head[..read].starts_with(b"GET /readyz HTTP/1.0\r\n"));
            std::io::Write::write_all(&mut stream, answer.as_bytes()).expect("the client reads");
        }));
        SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)
    }

    #[tokio::test]
    async fn service_that_answers_200_is_healthy() {
        let service = listener_with("HTTP/1.0 200 OK\r\n\r\n{}").await;
        assert!(check_health(service, "/readyz").await.is_ok());
    }

    #[tokio::test]
    async fn service_that_is_not_ready_is_named_with_its_reason() {
        let service = listener_with("HTTP/1.0 503 Service Unavailable\r\n\r\n{\"broker\":false}").await;
        let error = check_health(service, "/readyz").await.expect_err("it is not ready").to_string();
        assert!(error.ends_with("/readyz: {\"broker\":false}"), "{error}");
    }

    #[tokio::test]
    async fn missing_service_is_unhealthy() {
        // It is bound and does not listen, so that its port refuses connections and nobody else gets it.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let closed = socket.local_addr().expect("an address");
        assert!(matches!(check_health(closed, "/healthz").await, Err(Error::Unhealthy(_))));
    }

    #[test]
    fn listener_on_all_addresses_is_asked_on_loopback() {
        for (listener, asked) in [
            ("0.0.0.0:9100", "127.0.0.1:9100"),
            ("[::]:9100", "[::1]:9100"),
            ("10.1.2.3:9100", "10.1.2.3:9100"),
        ] {
            let listener = listener.parse().expect(listener);
            assert_eq!(loopback_of(listener).to_string(), asked);
        }
    }
}
