//! From a request body to OTLP messages: content encoding, content type, protobuf or JSON.
//!
//! One bad record costs that record only: what can be read is taken, and what cannot is counted with its reason.

mod codec;
mod json;
mod message;
mod notes;
mod rows;
mod scalars;
mod wire;

use std::io::Read;

use flate2::read::MultiGzDecoder;

pub(crate) use notes::{Notes, What};
pub(crate) use rows::{Intake, Names, Rows};

use crate::error::IngestError;
use crate::store::Signal;

/// A decoded request.
pub(crate) enum Request {
    Logs(message::ExportLogs),
    Metrics(message::ExportMetrics),
    Traces(message::ExportTraces),
}

/// A request as far as it could be read.
pub(crate) struct Decoded {
    pub(crate) request: Request,
    /// What of it could not be taken as it came.
    pub(crate) notes: Notes,
    /// Bytes of the body, unpacked.
    pub(crate) bytes: u64,
}

/// Decodes `body`. An empty body is a request without rows; without a content type it is taken for what it looks like.
///
/// A body that breaks off, or of which something is not in its form, counts as far as it can be read; only when nothing of it can is
/// it refused.
pub(crate) fn decode(
    signal: Signal,
    body: &[u8],
    content_type: Option<&str>,
    content_encoding: Option<&str>,
    max_bytes: u64,
) -> Result<Decoded, IngestError> {
    let Unpacked { body, fault } = unpacked(body, content_encoding, max_bytes)?;
    if body.len() as u64 > max_bytes {
        return Err(IngestError::TooLarge { limit: max_bytes });
    }
    let form = Form::of(content_type, &body)?;
    let mut reader = Reader { form, notes: Notes::default(), fault: None };
    let request = match signal {
        Signal::Logs => Request::Logs(reader.read(&body)),
        Signal::Metrics => Request::Metrics(reader.read(&body)),
        Signal::Traces => Request::Traces(reader.read(&body)),
    };
    let bytes = body.len() as u64;
    let Reader { mut notes, fault: in_body, .. } = reader;
    if fault.is_some() || in_body.is_some() {
        if is_empty(&request) && notes.rejected() == 0 {
            return Err(fault.map_or_else(
                || IngestError::Malformed { signal: signal.name(), message: in_body.unwrap_or_default() },
                IngestError::Gzip,
            ));
        }
        let packed = fault.map(|error| format!("the packed body: {error}"));
        notes.spoil("a body that breaks off or is not in its form throughout", packed.or(in_body).unwrap_or_default());
    }
    Ok(Decoded { request, notes, bytes })
}

/// Whether nothing was found that could be a record.
fn is_empty(request: &Request) -> bool {
    match request {
        Request::Logs(request) => {
            request.resource_logs.iter().all(|group| group.scope_logs.iter().all(|s| s.log_records.is_empty()))
        }
        Request::Metrics(request) => {
            request.resource_metrics.iter().all(|group| group.scope_metrics.iter().all(|s| s.metrics.is_empty()))
        }
        Request::Traces(request) => {
            request.resource_spans.iter().all(|group| group.scope_spans.iter().all(|s| s.spans.is_empty()))
        }
    }
}

/// A body without its packing.
struct Unpacked<'a> {
    body: std::borrow::Cow<'a, [u8]>,
    /// Why not all of it could be unpacked.
    fault: Option<std::io::Error>,
}

fn unpacked<'a>(body: &'a [u8], content_encoding: Option<&str>, max_bytes: u64) -> Result<Unpacked<'a>, IngestError> {
    let encoding = content_encoding.map(|text| text.trim().to_ascii_lowercase());
    match encoding.as_deref() {
        Some("gzip" | "x-gzip") if !body.is_empty() => {
            let mut whole = Vec::new();
            // What was unpacked before a fault stays.
            let read = MultiGzDecoder::new(body).take(max_bytes.saturating_add(1)).read_to_end(&mut whole);
            Ok(Unpacked { body: whole.into(), fault: read.err() })
        }
        None | Some("" | "identity" | "gzip" | "x-gzip") => Ok(Unpacked { body: body.into(), fault: None }),
        Some(other) => Err(IngestError::ContentEncoding(other.to_owned())),
    }
}

#[derive(Clone, Copy)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(content_type: Option<&str>, body: &[u8]) -> Result<Self, IngestError> {
        let given = content_type.unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            // No OTLP request in protobuf begins with a brace.
            "" if body.trim_ascii_start().starts_with(b"{") => Ok(Self::Json),
            "" | "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(IngestError::ContentType(given.to_owned())),
        }
    }
}

struct Reader {
    form: Form,
    notes: Notes,
    /// Why the body is not in its form throughout.
    fault: Option<String>,
}

impl Reader {
    fn read<M: codec::Message>(&mut self, body: &[u8]) -> M {
        match self.form {
            _ if body.is_empty() => M::default(),
            Form::Protobuf => {
                let (message, is_whole) = codec::from_wire(body, &mut self.notes);
                let what = if body.starts_with(b"{") { "it is JSON, and its content type says protobuf" } else { "not protobuf" };
                self.fault = (!is_whole).then(|| what.to_owned());
                message
            }
            Form::Json => {
                let parsed = json::parse(body);
                let (message, is_object) = match &parsed.value {
                    json::Json::Object(..) => (codec::from_json(&parsed.value, &mut self.notes).0, true),
                    _ => (M::default(), false),
                };
                self.fault = match parsed.fault {
                    Some((at, why)) => Some(format!("{why}, at byte {at}")),
                    None => (!is_object).then(|| "the body is no JSON object".to_owned()),
                };
                message
            }
        }
    }
}
