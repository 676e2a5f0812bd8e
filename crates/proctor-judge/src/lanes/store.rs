//! Log records out of the run's store.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use proctor_store::{Attributes, LogRecord, Store, StoreError, TimeRange, time_to_nanos};

use super::material::LogRow;

/// Severity number of ERROR in OpenTelemetry's data model.
const ERROR: i32 = 17;

type Fields = BTreeMap<String, String>;

/// Reads every log record of the store in `folder`; a store that is not there yet has none.
pub(crate) fn read_logs(folder: &Path, notes: &mut Vec<String>) -> Vec<LogRow> {
    match Store::open_read_only(folder) {
        Ok(store) => rows(&store),
        Err(StoreError::Missing(_)) => Vec::new(),
        Err(error) => {
            notes.push(error.to_string());
            Vec::new()
        }
    }
}

/// The store's log records as rows; records of one resource share its text.
pub(crate) fn rows(store: &Store) -> Vec<LogRow> {
    let mut resources: HashMap<*const Attributes, Arc<Fields>> = HashMap::new();
    let records = store.logs(TimeRange::ALL);
    records
        .iter()
        .map(|record| {
            let shared = resources.entry(Arc::as_ptr(&record.resource));
            let resource = shared.or_insert_with(|| Arc::new(texts(&record.resource))).clone();
            row(record, resource)
        })
        .collect()
}

fn texts(attributes: &Attributes) -> Fields {
    attributes.iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect()
}

fn row(record: &LogRecord, resource: Arc<Fields>) -> LogRow {
    LogRow {
        seq: record.seq,
        time_ns: time_to_nanos(record.placed()),
        body: if record.body.is_empty() { record.event_name.clone() } else { record.body.clone() },
        error: record.severity_number >= ERROR,
        address: record.agent.as_deref().unwrap_or_default().to_owned(),
        contradicted: record.contradicted.as_deref().map(str::to_owned),
        fields: fields(record),
        resource,
    }
}

/// The attributes, and what marks a record that bears a time far outside the run.
fn fields(record: &LogRecord) -> Fields {
    let mut fields = texts(&record.attributes);
    if let Some(how) = record.far_off {
        fields.insert("proctor.far_off".to_owned(), how.name().to_owned());
        fields.insert("time as it was sent".to_owned(), record.time.to_rfc3339());
    }
    fields
}
