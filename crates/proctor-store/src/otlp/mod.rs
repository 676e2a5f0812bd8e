//! From a request body to OTLP messages: content encoding, content type, protobuf or JSON.

mod lenient;
mod message;
mod rows;

use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;

pub(crate) use rows::{Intake, Names, Rows};

use crate::error::IngestError;
use crate::store::Signal;

/// A decoded request.
pub(crate) enum Request {
    Logs(message::ExportLogs),
    Metrics(message::ExportMetrics),
    Traces(message::ExportTraces),
}

/// Decodes `body`. An empty body is a request without rows; without a content type it is taken for protobuf.
pub(crate) fn decode(
    signal: Signal,
    body: &[u8],
    content_type: Option<&str>,
    content_encoding: Option<&str>,
    max_bytes: u64,
) -> Result<(Request, u64), IngestError> {
    let form = Form::of(content_type)?;
    let unpacked;
    let body = match content_encoding.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("" | "identity") => body,
        Some("gzip" | "x-gzip") if body.is_empty() => body,
        Some("gzip" | "x-gzip") => {
            unpacked = unpack(body, max_bytes)?;
            &unpacked
        }
        Some(other) => return Err(IngestError::ContentEncoding(other.to_owned())),
    };
    if body.len() as u64 > max_bytes {
        return Err(IngestError::TooLarge { limit: max_bytes });
    }
    let malformed = |message: String| IngestError::Malformed { signal: signal.name(), message };
    let request = match signal {
        Signal::Logs => form.read(body).map(Request::Logs),
        Signal::Metrics => form.read(body).map(Request::Metrics),
        Signal::Traces => form.read(body).map(Request::Traces),
    };
    Ok((request.map_err(malformed)?, body.len() as u64))
}

fn unpack(body: &[u8], max_bytes: u64) -> Result<Vec<u8>, IngestError> {
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(body).take(max_bytes.saturating_add(1)).read_to_end(&mut unpacked).map_err(IngestError::Gzip)?;
    Ok(unpacked)
}

#[derive(Clone, Copy)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(content_type: Option<&str>) -> Result<Self, IngestError> {
        let Some(given) = content_type else { return Ok(Self::Protobuf) };
        let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" | "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(IngestError::ContentType(given.to_owned())),
        }
    }

    fn read<T: prost::Message + Default + DeserializeOwned>(self, body: &[u8]) -> Result<T, String> {
        match self {
            _ if body.is_empty() => Ok(T::default()),
            Self::Protobuf => T::decode(body).map_err(|error| error.to_string()),
            Self::Json => json(body),
        }
    }
}

/// Protobuf's JSON takes `null` for an absent field, which serde's defaults do not.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut value: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    drop_nulls(&mut value);
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
