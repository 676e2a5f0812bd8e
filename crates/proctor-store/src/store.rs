//! The store: takes OTLP requests in, keeps them, and answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::changes::{Changes, lock};
use crate::error::{IngestError, QueryError, StoreError};
use crate::journal::{self, Entry};
use crate::losses::{Loss, Sender};
use crate::manifest::{self, Manifest};
use crate::otlp::{self, Decoded, Intake, Names, Rows};
use crate::record::{Labels, LogRecord, MetricPoint, Span, Time, TimeRange};
use crate::table::{self, Arrived, Table};
use crate::written::Written;
use crate::{logsql, promql, segment};

/// The three kinds of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Log records.
    Logs,
    /// Metric points.
    Metrics,
    /// Spans.
    Traces,
}

impl Signal {
    /// `logs`, `metrics`, `traces`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }

    fn code(self) -> u32 {
        match self {
            Self::Logs => 1,
            Self::Metrics => 2,
            Self::Traces => 3,
        }
    }

    fn of_code(code: u32) -> Option<Self> {
        [Self::Logs, Self::Metrics, Self::Traces].into_iter().find(|signal| signal.code() == code)
    }
}

/// When the journal is forced to the disk. What was acknowledged was always handed to the operating system, so that it
/// survives `kill -9` of this process; only a power loss or a crash of the machine can take what was not yet synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before every answer. Safest, and slow on spinning or busy disks.
    EveryRequest,
    /// So long after it was written, by a thread of the store's own, and by [`Store::seal`]. No request waits for the disk; when it
    /// refuses, the next request is refused.
    Within(Duration),
}

/// How a store behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// See [`SyncPolicy`]; within a second by default.
    pub sync: SyncPolicy,
    /// Largest request body, unpacked; 64 MiB by default.
    pub max_body_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync: SyncPolicy::Within(Duration::from_secs(1)), max_body_bytes: 64 << 20 }
    }
}

/// The address that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// A plain path: the town's own.
    Plain,
    /// An agent's, with what shows that the agent sent it.
    Of(&'a str),
    /// It names an agent and does not show that the agent sent it: kept, and counted for nobody.
    Claimed(&'a str),
}

impl<'a> Address<'a> {
    /// Whom the rows count for, unless they contradict it themselves.
    pub(crate) fn agent(self) -> Option<&'a str> {
        if let Self::Of(agent) = self { Some(agent) } else { None }
    }

    /// Who is only named.
    pub(crate) fn claimed(self) -> Option<&'a str> {
        if let Self::Claimed(agent) = self { Some(agent) } else { None }
    }
}

impl<'a> From<Option<&'a str>> for Address<'a> {
    fn from(agent: Option<&'a str>) -> Self {
        agent.map_or(Self::Plain, Self::Of)
    }
}

/// What became of a request that was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Records, points or spans stored.
    pub stored: u64,
    /// How many of them contradict the address they came by.
    pub contradicted: u64,
    /// Bytes of its body, unpacked.
    pub bytes: u64,
    /// How many could not be read, and are not stored.
    pub rejected: u64,
    /// How many are stored with something replaced or left out.
    pub repaired: u64,
    /// How many came before, and count once.
    pub repeated: u64,
    /// How many of the stored bear a time far outside the run.
    pub far_off: u64,
}

/// Counts over the store's life, kept in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Log records.
    pub logs: u64,
    /// Metric points.
    pub points: u64,
    /// Spans.
    pub spans: u64,
    /// Requests stored.
    pub requests: u64,
    /// Bytes of their bodies, as received.
    pub bytes: u64,
    /// Requests refused, by reason ([`IngestError::reason`]).
    pub rejected: BTreeMap<String, u64>,
    /// Rows whose identity contradicts the address they came by.
    pub contradicted: u64,
    /// Attributes, events and links that senders say they dropped before sending.
    pub dropped_by_senders: u64,
    /// Records that could not be read, of requests that were stored.
    pub records_rejected: u64,
    /// Records stored with something replaced or left out.
    pub repaired: u64,
    /// Records that came again, and count once.
    pub repeated: u64,
    /// Records that bear a time far outside the run.
    pub far_off: u64,
    /// Bytes at the journal's end that are no whole frame: a write that a crash cut short, never acknowledged.
    pub torn_bytes: u64,
}

/// A run's telemetry: open for writing in one process, or for reading anywhere.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    max_body_bytes: u64,
    /// Absent when the store is open for reading only.
    writer: Option<Mutex<journal::Writer>>,
    /// Bytes of the journal that were read, of a store that is open for reading only.
    read: Mutex<u64>,
    /// Segments and manifest, as they were written last.
    sealed: Mutex<Vec<Written>>,
    names: Mutex<Names>,
    table: RwLock<Table>,
    changes: Changes,
    series: promql::Cache,
}

impl Store {
    /// Makes a store in `dir`, which is created when absent.
    ///
    /// # Errors
    /// When `dir` already holds a store or cannot be written.
    pub fn create(dir: &Path, options: Options) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(StoreError::io("create", dir))?;
        let writer = journal::Writer::create(dir, options.sync)?;
        Ok(Self::new(dir, options.max_body_bytes, Some(Mutex::new(writer))))
    }

    /// Opens the store in `dir` for reading; writes nothing, so that `dir` may be read-only or a copy.
    ///
    /// # Errors
    /// When there is no journal, or it is shorter than when it was sealed.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        let journal = journal::read(dir)?;
        if let Some(sealed) = Manifest::read(dir)?.map(|manifest| manifest.journal_bytes).filter(|sealed| *sealed > journal.len) {
            return Err(StoreError::Shortened { path: dir.join(journal::FILE), found: journal.len, sealed });
        }
        let store = Self::new(dir, u64::MAX, None);
        store.take_over(&journal, &mut lock(&store.read));
        Ok(store)
    }

    /// Takes in what another process has appended to the journal since this one read it; a store that is open for writing has it all.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        if self.writer.is_some() {
            return Ok(());
        }
        // Held while reading, so that nothing is taken in twice.
        let mut read = lock(&self.read);
        let path = self.dir.join(journal::FILE);
        let len = std::fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
        if len > *read {
            let journal = journal::read_past(&self.dir, *read)?;
            self.take_over(&journal, &mut read);
        }
        Ok(())
    }

    fn take_over(&self, journal: &journal::Journal, read: &mut u64) {
        journal.entries.iter().for_each(|entry| self.replay(entry));
        self.write_table().stats.torn_bytes = journal.torn;
        *read = journal.len;
        self.changes.announce(self.read_table().seq);
    }

    /// How many bytes of the journal in `dir` come before a place where it was changed; absent when nothing shows that it was. A last
    /// entry that a crash cut off is no change.
    #[must_use]
    pub fn damaged_after(dir: &Path) -> Option<u64> {
        journal::damage(dir)
    }

    fn new(dir: &Path, max_body_bytes: u64, writer: Option<Mutex<journal::Writer>>) -> Self {
        Self {
            dir: dir.to_owned(),
            max_body_bytes,
            writer,
            read: Mutex::default(),
            sealed: Mutex::default(),
            names: Mutex::default(),
            table: RwLock::default(),
            changes: Changes::default(),
            series: promql::Cache::default(),
        }
    }

    /// Takes in one OTLP request: decodes it, appends it to the journal, then makes its rows visible. `address` is the agent
    /// whose address it came by. On an error nothing was kept, and the refusal is counted.
    ///
    /// # Errors
    /// See [`IngestError`].
    pub fn ingest<'a>(
        &self,
        signal: Signal,
        body: &[u8],
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        address: impl Into<Address<'a>>,
        received_at: Time,
    ) -> Result<Ingested, IngestError> {
        let address = address.into();
        let entry = Entry {
            signal: signal.code(),
            received_at: Entry::stamp(received_at),
            agent: address.agent().map(str::to_owned),
            content_type: content_type.map(str::to_owned),
            content_encoding: content_encoding.map(str::to_owned),
            body: body.to_vec(),
            refused: None,
            claimed: address.claimed().map(str::to_owned),
            why: None,
        };
        let decoded = otlp::decode(signal, body, content_type, content_encoding, self.max_body_bytes);
        let taken = decoded.and_then(|decoded| Ok(Ingested { bytes: decoded.bytes, ..self.take(decoded, &entry)? }));
        if let Err(error) = &taken {
            self.refuse(entry, error);
        }
        taken
    }

    fn take(&self, decoded: Decoded, entry: &Entry) -> Result<Ingested, StoreError> {
        let rows = self.rows(decoded, entry);
        let mut writer = lock(self.writer.as_ref().ok_or(StoreError::ReadOnly)?);
        writer.append(entry)?;
        // The journal's lock is held until the rows are numbered: their order is the journal's.
        let (added, seq) = {
            let mut table = self.write_table();
            (table.add(arrived(rows, entry)), table.seq)
        };
        drop(writer);
        self.changes.announce(seq);
        Ok(added)
    }

    fn rows(&self, decoded: Decoded, entry: &Entry) -> Rows {
        let address = match &entry.claimed {
            Some(claimed) => Address::Claimed(claimed),
            None => entry.agent.as_deref().into(),
        };
        Intake::new(&mut lock(&self.names), address, entry.received()).rows(decoded)
    }

    /// Counts a refusal and notes it in the journal, without the body. A journal that cannot be written does not matter here:
    /// the sender is told of the first error.
    fn refuse(&self, entry: Entry, error: &IngestError) {
        let note = Entry { body: Vec::new(), refused: Some(error.reason().to_owned()), why: Some(error.to_string()), ..entry };
        self.count_refused(&note);
        if let Some(writer) = &self.writer {
            let _ = lock(writer).append(&note);
        }
    }

    fn count_refused(&self, note: &Entry) {
        let reason = note.refused.as_deref().unwrap_or("unreadable in the journal");
        let why = note.why.as_deref().unwrap_or_default();
        self.write_table().refuse(reason, &sender(note), why, note.received());
    }

    /// Counts a request that was refused before the store saw it; `why` says it to people. Nothing else of it is kept.
    pub fn note_refused<'a>(&self, signal: Signal, why: IngestError, address: impl Into<Address<'a>>, received_at: Time) {
        let address = address.into();
        let entry = Entry {
            signal: signal.code(),
            received_at: Entry::stamp(received_at),
            agent: address.agent().map(str::to_owned),
            claimed: address.claimed().map(str::to_owned),
            ..Entry::default()
        };
        self.refuse(entry, &why);
    }

    /// Takes in what the journal holds, which was decoded once before.
    fn replay(&self, entry: &Entry) {
        let (kind, encoding) = (entry.content_type.as_deref(), entry.content_encoding.as_deref());
        let decoded = Signal::of_code(entry.signal)
            .filter(|_| entry.refused.is_none())
            .and_then(|signal| otlp::decode(signal, &entry.body, kind, encoding, self.max_body_bytes).ok());
        match decoded {
            Some(decoded) => {
                let rows = self.rows(decoded, entry);
                self.write_table().add(arrived(rows, entry));
            }
            None => self.count_refused(entry),
        }
    }

    /// Writes the Parquet segments and the manifest for everything taken in so far. The journal stays the source of
    /// truth. May be called again; taking in may go on.
    ///
    /// # Errors
    /// When the store is read-only or the disk refuses.
    pub fn seal(&self) -> Result<(), StoreError> {
        let writer = self.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        let (journal, journal_bytes, logs, points, spans, stats) = {
            let writer = lock(writer);
            let table = self.read_table();
            let all = TimeRange::ALL;
            let stats = table::stats_json(&table.stats);
            (writer.unsynced()?, writer.len(), table.logs_in(all), table.points_in(all), table.spans_in(all), stats)
        };
        journal.sync()?;
        let segments = [
            segment::write_logs(&self.dir, &logs)?,
            segment::write_metrics(&self.dir, &points)?,
            segment::write_spans(&self.dir, &spans)?,
        ];
        let (segments, mut written): (Vec<_>, Vec<_>) = segments.into_iter().unzip();
        let journal = journal::FILE.to_owned();
        let manifest = Manifest { schema: manifest::SCHEMA, journal, journal_bytes, segments, stats };
        written.push(manifest.write(&self.dir)?);
        *lock(&self.sealed) = written;
        Ok(())
    }

    /// Every file of the store as this process wrote it: the journal so far, and what [`Store::seal`] wrote last. Empty for a store that
    /// is open for reading only.
    #[must_use]
    pub fn written(&self) -> Vec<Written> {
        let journal = self.writer.as_ref().map(|writer| lock(writer).written());
        let sealed = lock(&self.sealed).clone();
        journal.into_iter().chain(sealed).collect()
    }

    /// Forces everything taken in to the disk, whatever [`SyncPolicy`] says.
    ///
    /// # Errors
    /// When the store is read-only or the disk refuses.
    pub fn sync(&self) -> Result<(), StoreError> {
        // Whoever takes in meanwhile does not wait for it.
        let journal = lock(self.writer.as_ref().ok_or(StoreError::ReadOnly)?).unsynced()?;
        journal.sync()
    }

    /// Counts of what was taken in, refused and cut.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.read_table().stats.clone()
    }

    /// What was sent and is not in the store, or not as it was sent: by kind, then by sender.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.read_table().losses()
    }

    /// The run's own clock: when the newest request came, by Proctor's clock. A record may say up to a minute more, for clocks that differ
    /// a little; times far outside the run do not count. Absent when no request came.
    #[must_use]
    pub fn clock(&self) -> Option<Time> {
        self.read_table().clock()
    }

    /// Log records in `range`, by time, then in the order of arrival.
    #[must_use]
    pub fn logs(&self, range: TimeRange) -> Vec<Arc<LogRecord>> {
        self.read_table().logs_in(range)
    }

    /// Log records that arrived after the row with sequence number `seq`, in the order of arrival.
    #[must_use]
    pub fn logs_past(&self, seq: u64) -> Vec<Arc<LogRecord>> {
        self.read_table().logs_past(seq)
    }

    /// Metric points in `range`, raw, by time, then in the order of arrival.
    #[must_use]
    pub fn points(&self, range: TimeRange) -> Vec<Arc<MetricPoint>> {
        self.read_table().points_in(range)
    }

    /// Spans that began in `range`, by start, then in the order of arrival.
    #[must_use]
    pub fn spans(&self, range: TimeRange) -> Vec<Arc<Span>> {
        self.read_table().spans_in(range)
    }

    /// Answers a LogsQL query over the records in `range`. `limit` keeps the newest rows of a query whose rows are in order
    /// of time, the first rows of others. `_time:5m` counts back from the range's end, or else from [`Store::clock`].
    ///
    /// # Errors
    /// When the query cannot be understood.
    pub fn logsql(&self, query: &str, range: TimeRange, limit: Option<usize>) -> Result<logsql::Answer, QueryError> {
        let parsed = logsql::parse(query)?;
        let now = range.end.or_else(|| self.clock());
        logsql::run(&parsed, &self.logs(range), now, limit)
    }

    /// Answers a PromQL query at one moment.
    ///
    /// # Errors
    /// When the query cannot be understood or evaluated.
    pub fn promql_instant(&self, query: &str, at: Time) -> Result<promql::Answer, QueryError> {
        promql::instant(&self.series_set(), query, at)
    }

    /// Answers a PromQL query at `start`, `start + step`, … up to `end`.
    ///
    /// # Errors
    /// When the query cannot be understood or evaluated, or there would be more than 11 000 steps.
    pub fn promql_range(&self, query: &str, start: Time, end: Time, step: Duration) -> Result<promql::Answer, QueryError> {
        promql::range(&self.series_set(), query, start, end, step)
    }

    /// Names of the labels of the series that any of `selectors` matches (of all when there is none), sorted.
    ///
    /// # Errors
    /// When a selector cannot be understood.
    pub fn label_names(&self, selectors: &[&str], range: TimeRange) -> Result<Vec<String>, QueryError> {
        let names = self.series(selectors, range)?.into_iter().flat_map(Labels::into_keys);
        Ok(names.collect::<std::collections::BTreeSet<_>>().into_iter().collect())
    }

    /// Values of label `name` among those series, sorted.
    ///
    /// # Errors
    /// When a selector cannot be understood.
    pub fn label_values(&self, name: &str, selectors: &[&str], range: TimeRange) -> Result<Vec<String>, QueryError> {
        let values = self.series(selectors, range)?.into_iter().filter_map(|mut labels| labels.remove(name));
        Ok(values.collect::<std::collections::BTreeSet<_>>().into_iter().collect())
    }

    /// The labels of the series that any of `selectors` matches.
    ///
    /// # Errors
    /// When a selector cannot be understood.
    pub fn series(&self, selectors: &[&str], range: TimeRange) -> Result<Vec<Labels>, QueryError> {
        promql::series(&self.series_set(), selectors, range)
    }

    fn series_set(&self) -> Arc<promql::SeriesSet> {
        let points = self.read_table().points.len();
        self.series.get(points, || self.points(TimeRange::ALL))
    }

    /// The newest row's sequence number; 0 when there is none.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.changes.newest()
    }

    /// Waits until there are rows past `seq` or `timeout` has passed; returns the newest sequence number.
    #[must_use]
    pub fn wait_past(&self, seq: u64, timeout: Duration) -> u64 {
        self.changes.wait_past(seq, timeout)
    }

    /// Calls `callback` with the newest sequence number after every request that was taken in, on the thread that took it
    /// in; it must not block.
    pub fn subscribe(&self, callback: impl Fn(u64) + Send + Sync + 'static) {
        self.changes.subscribe(Box::new(callback));
    }

    fn read_table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_table(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom a journal entry is from.
fn sender(entry: &Entry) -> Sender {
    Sender {
        agent: entry.agent.clone().filter(|agent| !agent.is_empty()),
        claimed: entry.claimed.clone(),
        signal: Signal::of_code(entry.signal).unwrap_or(Signal::Logs),
    }
}

fn arrived(rows: Rows, entry: &Entry) -> Arrived {
    Arrived { rows, from: sender(entry), at: entry.received(), body_bytes: entry.body.len() as u64 }
}
