//! A collector that stalls: it accepts every connection and never says a word, as one does whose disk or database hangs.

use std::sync::{Arc, OnceLock};

use proctor_judge::evidence::Time;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Clock;
use crate::halt::Halt;

/// The listener, for as long as this lives.
pub(crate) struct StalledCollector {
    /// Its base address: `http://127.0.0.1:40215`.
    pub(crate) address: String,
    first: Arc<OnceLock<Time>>,
    task: JoinHandle<()>,
}

impl StalledCollector {
    /// Listens on a port that the system gives.
    ///
    /// # Errors
    /// When no port can be had.
    pub(crate) async fn begin(clock: Clock) -> Result<Self, Halt> {
        let failed = |error: std::io::Error| Halt::environment(format!("no port for the stalled collector: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = format!("http://{}", listener.local_addr().map_err(failed)?);
        let first = Arc::new(OnceLock::new());
        let task = tokio::spawn(hold(listener, Arc::clone(&first), clock));
        Ok(Self { address, first, task })
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> Option<u16> {
        self.address.rsplit_once(':')?.1.parse().ok()
    }

    /// When somebody connected first.
    pub(crate) fn first(&self) -> Option<Time> {
        self.first.get().copied()
    }
}

impl Drop for StalledCollector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps every connection open, unread.
async fn hold(listener: TcpListener, first: Arc<OnceLock<Time>>, clock: Clock) {
    let mut held = Vec::new();
    while let Ok((connection, _)) = listener.accept().await {
        first.get_or_init(|| clock());
        held.push(connection);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn it_takes_a_request_says_nothing_and_remembers_the_first() {
        let collector = StalledCollector::begin(Arc::new(|| Time::UNIX_EPOCH)).await.unwrap();
        assert_eq!(collector.first(), None);
        let mut stream = TcpStream::connect(collector.address.trim_start_matches("http://")).await.unwrap();
        stream.write_all(b"POST /v1/logs HTTP/1.1\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        while collector.first().is_none() {
            tokio::task::yield_now().await;
        }
        let mut byte = [0];
        assert!(stream.try_read(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
}
