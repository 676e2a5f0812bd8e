//! Telemetry under Claude Code's names: log events and delta metrics, each with the attributes that join them.
//!
//! Names, attributes and their types are those that Claude Code 2.1.330 was seen to send; what it has no use for here is left
//! out. One differs on purpose: a model without a known price has `cost_unknown` instead of a cost.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::metrics::{Counter, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::logs::SdkLogger;
use uuid::Uuid;

use crate::client::{Answer, Fault};
use crate::config::{Surroundings, Telemetry};
use crate::message::Usage;

const EVENTS_SCOPE: &str = "com.anthropic.claude_code.events";
const METRICS_SCOPE: &str = "com.anthropic.claude_code";
const REDACTED: &str = "<REDACTED>";

/// Emits what one session does.
pub(crate) struct Events {
    telemetry: Telemetry,
    logger: Option<SdkLogger>,
    counters: Option<Counters>,
    session: Uuid,
    sequence: AtomicI64,
    pub(crate) surroundings: Surroundings,
}

struct Counters {
    sessions: Counter<f64>,
    tokens: Counter<f64>,
    cost: Counter<f64>,
    active: Counter<f64>,
}

/// A request that was answered.
pub(crate) struct ApiRequest<'a> {
    pub(crate) model: &'a str,
    pub(crate) answer: &'a Answer,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) duration: Duration,
}

/// A command that ran.
pub(crate) struct ToolResult<'a> {
    pub(crate) tool: &'a str,
    pub(crate) id: &'a str,
    pub(crate) input: &'a serde_json::Value,
    pub(crate) success: bool,
    pub(crate) bytes: u64,
    pub(crate) duration: Duration,
    pub(crate) request_id: Option<&'a str>,
}

type Attributes = Vec<(&'static str, AnyValue)>;

impl Events {
    /// Counts the session.
    pub(crate) fn begin(telemetry: Telemetry, surroundings: Surroundings) -> Self {
        let scope = |name| InstrumentationScope::builder(name).with_version(env!("CARGO_PKG_VERSION")).build();
        let logger = telemetry.logs.as_ref().map(|logs| logs.logger_with_scope(scope(EVENTS_SCOPE)));
        let counters = telemetry.metrics.as_ref().map(|metrics| Counters::new(&metrics.meter_with_scope(scope(METRICS_SCOPE))));
        let session = (surroundings.ids)();
        let events = Self { telemetry, logger, counters, session, sequence: AtomicI64::new(0), surroundings };
        events.count(|counters| &counters.sessions, 1.0, [KeyValue::new("start_type", "fresh")]);
        events
    }

    pub(crate) fn session(&self) -> Uuid {
        self.session
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.surroundings.clock)()
    }

    /// The time since a moment; 0 when the clock was set back.
    pub(crate) fn since(&self, begun: DateTime<Utc>) -> Duration {
        (self.now() - begun).to_std().unwrap_or_default()
    }

    pub(crate) fn new_prompt(&self) -> Uuid {
        (self.surroundings.ids)()
    }

    pub(crate) fn user_prompt(&self, prompt: Uuid, text: &str) {
        let shown = if self.telemetry.log_prompts { text } else { REDACTED };
        self.emit(
            "user_prompt",
            prompt,
            vec![("prompt_length", text.chars().count().to_string().into()), ("prompt", shown.to_owned().into())],
        );
    }

    pub(crate) fn api_request(&self, prompt: Uuid, request: &ApiRequest<'_>) {
        let usage = request.answer.message.usage;
        let mut attributes: Attributes = vec![
            ("model", request.model.to_owned().into()),
            ("input_tokens", int(usage.input)),
            ("output_tokens", int(usage.output)),
            ("cache_read_tokens", int(usage.cache_read)),
            ("cache_creation_tokens", int(usage.cache_creation)),
            ("duration_ms", milliseconds(request.duration)),
            ("query_source", "repl_main_thread".into()),
        ];
        attributes.extend(request.answer.first_content.map(|time| ("ttft_ms", milliseconds(time))));
        attributes.push(match request.cost_usd {
            Some(cost) => ("cost_usd", cost.into()),
            None => ("cost_unknown", true.into()),
        });
        attributes.extend(request_id(request.answer.request_id.as_deref()));
        self.emit("api_request", prompt, attributes);
        self.count_usage(request.model, usage, request.cost_usd);
    }

    fn count_usage(&self, model: &str, usage: Usage, cost_usd: Option<f64>) {
        let model = || KeyValue::new("model", model.to_owned());
        let by_type = [
            ("input", usage.input),
            ("output", usage.output),
            ("cacheRead", usage.cache_read),
            ("cacheCreation", usage.cache_creation),
        ];
        for (kind, tokens) in by_type {
            #[allow(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
            self.count(|counters| &counters.tokens, tokens as f64, [KeyValue::new("type", kind), model()]);
        }
        if let Some(cost) = cost_usd {
            self.count(|counters| &counters.cost, cost, [model()]);
        }
    }

    pub(crate) fn api_error(&self, prompt: Uuid, model: &str, fault: &Fault, duration: Duration) {
        let mut attributes: Attributes = vec![
            ("model", model.to_owned().into()),
            ("error", fault.message.clone().into()),
            ("duration_ms", milliseconds(duration)),
            ("attempt", i64::from(fault.attempt).into()),
        ];
        attributes.extend(fault.status.map(|status| ("status_code", i64::from(status).into())));
        attributes.extend(request_id(fault.request_id.as_deref()));
        self.emit("api_error", prompt, attributes);
    }

    pub(crate) fn tool_result(&self, prompt: Uuid, result: &ToolResult<'_>) {
        let input = result.input.to_string();
        let mut attributes: Attributes = vec![
            ("tool_name", result.tool.to_owned().into()),
            ("tool_use_id", result.id.to_owned().into()),
            ("success", result.success.to_string().into()),
            ("duration_ms", result.duration.as_millis().to_string().into()),
            ("tool_input_size_bytes", input.len().to_string().into()),
            ("tool_result_size_bytes", result.bytes.to_string().into()),
        ];
        if self.telemetry.log_tool_details {
            attributes.push(("tool_input", input.into()));
        }
        attributes.extend(request_id(result.request_id));
        self.emit("tool_result", prompt, attributes);
    }

    pub(crate) fn active(&self, duration: Duration) {
        self.count(|counters| &counters.active, duration.as_secs_f64(), [KeyValue::new("type", "cli")]);
    }

    /// Hands everything to the exporters and waits for them. Their failures are theirs to report.
    pub(crate) fn flush(&self) {
        let _ = self.telemetry.logs.as_ref().map(|logs| logs.force_flush());
        let _ = self.telemetry.metrics.as_ref().map(|metrics| metrics.force_flush());
    }

    fn emit(&self, name: &'static str, prompt: Uuid, attributes: Attributes) {
        let Some(logger) = &self.logger else { return };
        let now = self.now();
        let mut record = logger.create_log_record();
        record.set_timestamp(now.into());
        record.set_observed_timestamp(now.into());
        record.set_body(format!("claude_code.{name}").into());
        record.add_attributes(self.telemetry.attributes.iter().map(|kv| (kv.key.clone(), any_value(&kv.value))));
        record.add_attribute("session.id", self.session.to_string());
        record.add_attribute("event.name", name);
        record.add_attribute("event.timestamp", now.to_rfc3339_opts(SecondsFormat::Millis, true));
        record.add_attribute("event.sequence", self.sequence.fetch_add(1, Ordering::Relaxed));
        record.add_attribute("prompt.id", prompt.to_string());
        record.add_attributes(attributes);
        logger.emit(record);
    }

    fn count<const N: usize>(&self, counter: impl FnOnce(&Counters) -> &Counter<f64>, value: f64, attributes: [KeyValue; N]) {
        let Some(counters) = &self.counters else { return };
        let mut all = self.telemetry.attributes.clone();
        all.push(KeyValue::new("session.id", self.session.to_string()));
        all.extend(attributes);
        counter(counters).add(value, &all);
    }
}

impl Counters {
    fn new(meter: &Meter) -> Self {
        let counter = |name, unit, about| meter.f64_counter(name).with_unit(unit).with_description(about).build();
        Self {
            sessions: counter("claude_code.session.count", "", "Count of CLI sessions started"),
            tokens: counter("claude_code.token.usage", "tokens", "Number of tokens used"),
            cost: counter("claude_code.cost.usage", "USD", "Cost of the session"),
            active: counter("claude_code.active_time.total", "s", "Total active time in seconds"),
        }
    }
}

fn request_id(id: Option<&str>) -> Option<(&'static str, AnyValue)> {
    id.map(|id| ("request_id", id.to_owned().into()))
}

fn int(count: u64) -> AnyValue {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

fn milliseconds(duration: Duration) -> AnyValue {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).into()
}

fn any_value(value: &Value) -> AnyValue {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        Value::String(value) => value.clone().into(),
        other => other.to_string().into(),
    }
}
