//! A TCP balancer in front of several RabbitMQ nodes, so that services need one address only.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::ports::Port;

/// The bytes with which an AMQP client begins: `AMQP` and four bytes of version.
const HEADER_BYTES: usize = 8;
/// The balancer skips a node that does not answer the header within this time.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// A balancer whose connections close when it is dropped.
#[derive(Debug)]
pub struct Balancer {
    port: Port,
    accepting: JoinHandle<()>,
}

impl Balancer {
    /// Starts a balancer that hands connections to these nodes in turn, and skips nodes that do not answer.
    ///
    /// # Panics
    /// When its port was taken meanwhile.
    pub async fn in_front_of(nodes: Vec<SocketAddr>) -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address()).await.expect("the balancer's port");
        Self { port, accepting: tokio::spawn(accept_connections(listener, nodes)) }
    }

    /// Its listening address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept_connections(listener: TcpListener, mut nodes: Vec<SocketAddr>) {
    // Dropping the task that holds the connections closes them.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(serve_connection(client, nodes.clone()));
        nodes.rotate_left(1);
        while connections.try_join_next().is_some() {}
    }
}

/// Connects the client to the first of these nodes that answers. If none does, it closes the client's
/// connection.
async fn serve_connection(mut client: TcpStream, nodes: Vec<SocketAddr>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut header = [0; HEADER_BYTES];
    client.read_exact(&mut header).await?;
    for node in nodes {
        if let Ok(Ok((mut server, first))) = timeout(GREETING_TIMEOUT, send_header(node, header)).await {
            client.write_all(&[first]).await?;
            copy_bidirectional(&mut client, &mut server).await?;
            break;
        }
    }
    Ok(())
}

/// Sends the client's header to a node, and waits for the first byte of its answer.
async fn send_header(node: SocketAddr, header: [u8; HEADER_BYTES]) -> std::io::Result<(TcpStream, u8)> {
    let mut server = TcpStream::connect(node).await?;
    server.set_nodelay(true)?;
    server.write_all(&header).await?;
    let first = server.read_u8().await?;
    Ok((server, first))
}
