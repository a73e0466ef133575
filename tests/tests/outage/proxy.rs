//! A connection to a server that can be cut and mended.

use crate::{plane::PATIENCE, system::within};
use std::net::SocketAddr;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Passes connections on while it is whole, and refuses them while it is cut.
pub struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    passing: Option<JoinHandle<()>>,
}

impl Proxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, target, passing: Some(tokio::spawn(pass(listener, target))) }
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends every connection and takes no more.
    pub async fn cut(&mut self) {
        if let Some(passing) = self.passing.take() {
            passing.abort();
            assert!(passing.await.is_err_and(|e| e.is_cancelled()));
        }
        assert!(TcpStream::connect(self.address).await.is_err(), "nobody answers");
    }

    /// Goes on as before.
    pub async fn mend(&mut self) {
        let listener = within(PATIENCE, async || TcpListener::bind(self.address).await.ok()).await;
        self.passing = Some(tokio::spawn(pass(listener.expect("the port is still free"), self.target)));
    }
}

async fn pass(listener: TcpListener, target: SocketAddr) {
    // Aborted with this task.
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut far) = TcpStream::connect(target).await {
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}
