//! A loopback port with routes behind it, and its orderly end.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use proctor_harness::Halt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long open connections may take to end once the listener is closed. Senders keep connections open for reuse, so that
/// waiting for them to end by themselves would wait for nothing.
const CLOSE_LIMIT: Duration = Duration::from_millis(200);

/// A server on a port of this machine's loopback address.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    close: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Listener {
    /// Binds `port` (0: any free one) and serves. `what` names the listener, `flag` the flag that chooses the port.
    pub(crate) async fn open(what: &str, flag: &str, port: u16, router: Router) -> Result<Self, Halt> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| cannot_bind(what, flag, port, &error))?;
        let address = listener.local_addr().map_err(|error| cannot_bind(what, flag, port, &error))?;
        let (close, closed) = oneshot::channel();
        let served = axum::serve(listener, router).with_graceful_shutdown(async {
            // A sender that is gone asks for the end as well.
            drop(closed.await);
        });
        let server = tokio::spawn(served.into_future());
        Ok(Self { address, close, server })
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes the port; requests under way get a moment to be answered.
    pub(crate) async fn close(mut self) {
        // A server that ended by itself has nobody who listens.
        let _ = self.close.send(());
        if tokio::time::timeout(CLOSE_LIMIT, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }

    /// Waits until the server ends by itself, which it only does on an error.
    pub(crate) async fn wait(&mut self) -> std::io::Result<()> {
        (&mut self.server).await.unwrap_or(Ok(()))
    }
}

fn cannot_bind(what: &str, flag: &str, port: u16, error: &std::io::Error) -> Halt {
    let halt = Halt::environment(format!("cannot open port {port} for the {what}: {error}"));
    if port == 0 {
        return halt;
    }
    halt.hint(format!("choose another with {flag}, or leave {flag} out for any free port"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_its_flag() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let halt = Listener::open("viewer", "--port", port, Router::new()).await.unwrap_err();
        assert!(halt.message.contains(&port.to_string()), "{}", halt.message);
        assert!(halt.hint.unwrap().contains("--port"));
    }

    #[tokio::test]
    async fn a_closed_listener_gives_its_port_back() {
        let listener = Listener::open("test", "--port", 0, Router::new()).await.unwrap();
        let port = listener.address.port();
        listener.close().await;
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_ok());
    }
}
