//! One connection to a town's Dolt server.
//!
//! The connection is out of its place while a statement runs: when the future is dropped half-way, so is the connection, and the next
//! statement begins with a clean one.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};

use super::Cost;
use crate::halt::Halt;

/// How long a statement may take before the server counts as not answering: a thousand times what it takes.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The cells of a row as the server prints them.
pub(super) type Cells = Vec<Option<String>>;

/// Why a statement has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection, or one that broke.
    #[error("{0}")]
    Broken(String),
    /// The server did not answer in time.
    #[error("no answer within {} s", ANSWER_LIMIT.as_secs())]
    Late,
    /// The server refused the statement.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// As a person is told.
    pub(super) fn halt(&self, port: u16) -> Halt {
        match self {
            Self::Refused(_) => Halt::harness(format!("the town's database has another form than expected: {self}"))
                .hint("bd 0.57.0 to 0.62.0 makes the tables that gt and Proctor read: `proctor doctor --town gastown`"),
            _ => Halt::harness(format!("the town's Dolt server on 127.0.0.1:{port} does not answer: {self}"))
                .hint("look at town/daemon/dolt.log below the run's base directory"),
        }
    }
}

impl From<mysql_async::Error> for Failure {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            // An unknown database is one that went away or whose server is not whole yet: looking again finds out.
            mysql_async::Error::Server(error) if error.code != 1049 => Self::Refused(error.message),
            error => Self::Broken(error.to_string()),
        }
    }
}

/// The connection, made when it is needed.
pub(super) struct Dolt {
    port: u16,
    conn: Option<Conn>,
    cost: Cost,
}

impl Dolt {
    pub(super) fn new(port: u16) -> Self {
        Self { port, conn: None, cost: Cost::default() }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    /// All rows of a statement, as text.
    pub(super) async fn query(&mut self, statement: &str) -> Result<Vec<Cells>, Failure> {
        let rows = self.rows(statement).await?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }

    /// All rows of a statement, with what the server says of their columns.
    pub(super) async fn rows(&mut self, statement: &str) -> Result<Vec<Row>, Failure> {
        let begin = Instant::now();
        let answer = tokio::time::timeout(ANSWER_LIMIT, self.ask(statement)).await;
        self.cost.queries += 1;
        self.cost.wall += begin.elapsed();
        answer.map_err(|_| Failure::Late)?
    }

    async fn ask(&mut self, statement: &str) -> Result<Vec<Row>, Failure> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => Conn::new(self.options()).await?,
        };
        let answer: Result<Vec<Row>, Failure> = conn.query(statement).await.map_err(Failure::from);
        if !matches!(answer, Err(Failure::Broken(_))) {
            self.conn = Some(conn);
        }
        answer
    }

    /// The limits are given so that the driver need not ask for them at every connection.
    fn options(&self) -> Opts {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("root"))
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(1 << 30))
            .wait_timeout(Some(28_800))
            .into()
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}
