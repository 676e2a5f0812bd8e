//! A loopback port with routes behind it, and its orderly end.
//!
//! Each listener has a thread of its own: whatever a run is busy with, it answers, and no work is handed from thread to thread.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use futures::FutureExt;
use proctor_harness::Halt;
use tokio::sync::oneshot;

use super::connections::Limits;
use super::serving::{self, Guard, Unguarded};

/// How long open connections may take to end once the listener is closed. Senders keep connections open for reuse, so that
/// waiting for them to end by themselves would wait for nothing.
const CLOSE_LIMIT: Duration = Duration::from_millis(200);

/// A server on a port of this machine's loopback address. Dropped, it closes on its own.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    close: oneshot::Sender<()>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Listener {
    /// Binds `port` (0: any free one) and serves. `what` names the listener, `flag` the flag that chooses the port.
    pub(crate) async fn open(what: &str, flag: &str, port: u16, router: Router) -> Result<Self, Halt> {
        let socket = bind(what, flag, port)?;
        Self::serve(what, socket, router, Arc::new(Unguarded), Limits::of_this_process())
    }

    /// [`Listener::open`], where each request passes a guard first.
    pub(crate) async fn guarded(
        what: &str,
        flag: &str,
        port: u16,
        router: Router,
        guard: Arc<dyn Guard>,
        limits: Limits,
    ) -> Result<Self, Halt> {
        Self::serve(what, bind(what, flag, port)?, router, guard, limits)
    }

    /// Serves on a port that was bound before, where each request passes a guard first: who connected meanwhile is answered now.
    pub(crate) fn serve(
        what: &str,
        socket: std::net::TcpListener,
        router: Router,
        guard: Arc<dyn Guard>,
        limits: Limits,
    ) -> Result<Self, Halt> {
        let failed = |error: io::Error| Halt::environment(format!("cannot serve the {what}: {error}"));
        let address = socket.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (close, closed) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let serve = move || {
            // A sender that is gone asks for the end as well.
            let served = runtime.block_on(serve(socket, router, guard, limits, closed));
            // A request that still waits for the disk is not waited for.
            runtime.shutdown_background();
            // Nobody need ask how it ended.
            let _ = end.send(served);
        };
        thread::Builder::new().name(what.to_owned()).spawn(serve).map_err(failed)?;
        Ok(Self { address, close, ended })
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes the port; requests under way get a moment to be answered.
    pub(crate) async fn close(self) {
        // A server that ended by itself has nobody who listens.
        let _ = self.close.send(());
        if !self.ended.is_terminated() {
            let _ = self.ended.await;
        }
    }

    /// Waits until the server ends by itself, which it only does on an error.
    pub(crate) async fn wait(&mut self) -> io::Result<()> {
        (&mut self.ended).await.unwrap_or(Ok(()))
    }
}

/// Binds `port` of the loopback address; 0: any free one.
///
/// # Errors
/// When it is taken, with the flag that chooses another.
pub(crate) fn bind(what: &str, flag: &str, port: u16) -> Result<std::net::TcpListener, Halt> {
    let bound = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let bound = bound.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    bound.map_err(|error| cannot_bind(what, flag, port, &error))
}

async fn serve(
    socket: std::net::TcpListener,
    router: Router,
    guard: Arc<dyn Guard>,
    limits: Limits,
    closed: oneshot::Receiver<()>,
) -> io::Result<()> {
    let closed = closed.map(drop).shared();
    serving::serve(socket, router, guard, limits, closed.clone()).await?;
    // What is under way is answered meanwhile, by tasks of their own.
    tokio::time::sleep(CLOSE_LIMIT).await;
    Ok(())
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

    use tokio::net::TcpListener;

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
    async fn it_answers_while_whoever_opened_it_is_busy() {
        use std::io::{Read, Write};
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let listener = Listener::open("test", "--port", 0, router).await.unwrap();
        // The calls below block the only thread of this test's runtime.
        let mut sender = std::net::TcpStream::connect(listener.address).unwrap();
        sender.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        sender.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
        listener.close().await;
    }

    #[tokio::test]
    async fn a_closed_listener_gives_its_port_back() {
        let listener = Listener::open("test", "--port", 0, Router::new()).await.unwrap();
        let port = listener.address.port();
        listener.close().await;
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_ok());
    }
}
