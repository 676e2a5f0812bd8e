//! Gas Town's log events and metrics, under its own names.
//!
//! The edge builds the providers with their resource and exporter and flushes them; this module only emits. Without providers
//! nothing is emitted. A record carries `run.id`, the life of the agent it is about: the caller's own, or, where an agent is
//! started, the started one's (the real `gt` puts the caller's there).

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::caller::Caller;
use crate::emission::{Emission, Meter, pairs, plain};
use crate::mail::{self, Message};

/// Where a command's events and measurements go. The default goes nowhere.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// Log events; absent when `GT_OTEL_LOGS_URL` is not set.
    pub logs: Option<SdkLoggerProvider>,
    /// Metrics; absent when `GT_OTEL_METRICS_URL` (for `bd`: `BD_OTEL_METRICS_URL`) is not set.
    pub metrics: Option<SdkMeterProvider>,
}

/// How an operation ended, for events that say so.
pub(crate) type Outcome<'a> = Result<(), &'a str>;

/// One log event in the making.
pub(crate) struct Record<'a> {
    body: &'static str,
    run_id: Option<&'a str>,
    outcome: Option<Outcome<'a>>,
    attributes: Vec<(&'static str, AnyValue)>,
}

/// Begins a log event.
pub(crate) fn record<'a>(body: &'static str) -> Record<'a> {
    Record { body, run_id: None, outcome: None, attributes: Vec::new() }
}

impl<'a> Record<'a> {
    /// Adds an attribute.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<AnyValue>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }

    /// Says how it ended: `status` and `error`.
    pub(crate) fn ended(mut self, outcome: Outcome<'a>) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Names the agent's life it is about, when that is not the caller's own.
    pub(crate) fn of_run(mut self, run_id: &'a str) -> Self {
        self.run_id = Some(run_id);
        self
    }
}

/// `ok` or `error`, as the label `status` has it.
pub(crate) fn status(outcome: &Outcome<'_>) -> &'static str {
    if outcome.is_ok() { "ok" } else { "error" }
}

impl Caller {
    /// Emits a log event.
    pub(crate) fn emit(&self, event: Record<'_>) {
        if !self.telemetry.wants_logs() {
            return;
        }
        let failed = matches!(event.outcome, Some(Err(_)));
        let mut attributes = Vec::new();
        if let Some(run_id) = event.run_id.or_else(|| self.var("GT_RUN")) {
            attributes.push(("run.id".to_string(), run_id.into()));
        }
        attributes.extend(event.attributes.into_iter().map(|(key, value)| (key.to_string(), plain(value))));
        if let Some(outcome) = event.outcome {
            attributes.push(("status".to_string(), status(&outcome).into()));
            attributes.push(("error".to_string(), outcome.err().unwrap_or_default().into()));
        }
        self.telemetry.take(Emission::Log { at: None, body: event.body.to_string(), failed, attributes });
    }

    /// Adds one to a counter of `gt`.
    pub(crate) fn count(&self, name: &'static str, labels: &[KeyValue]) {
        self.count_on(Meter::Gt, name, labels);
    }

    /// Adds one to a counter of the daemon.
    pub(crate) fn count_daemon(&self, name: &'static str, labels: &[KeyValue]) {
        self.count_on(Meter::Daemon, name, labels);
    }

    fn count_on(&self, meter: Meter, name: &str, labels: &[KeyValue]) {
        if self.telemetry.wants_metrics() {
            self.telemetry.take(Emission::Count { meter, name: name.to_string(), labels: pairs(labels) });
        }
    }

    fn measure(&self, meter: Meter, name: &str, value: f64, labels: &[KeyValue]) {
        if self.telemetry.wants_metrics() {
            self.telemetry.take(Emission::Milliseconds { meter, name: name.to_string(), value, labels: pairs(labels) });
        }
    }

    /// Whether a text that is left out of events by default is asked for: `GT_LOG_MAIL_BODY`, `GT_LOG_PROMPT_KEYS`, `GT_LOG_PRIME_CONTEXT`.
    pub(crate) fn opted_in(&self, name: &str) -> bool {
        self.var(name).is_some_and(|value| matches!(value, "true" | "1"))
    }

    /// A message was sent or read: event `mail` and its metric.
    pub(crate) fn mail(&self, operation: &'static str, message: &Message) {
        let event = record("mail")
            .with("operation", operation)
            .with("msg.id", message.id.clone())
            .with("msg.from", message.from.clone())
            .with("msg.to", message.to.clone())
            .with("msg.subject", message.subject.clone())
            .with("msg.thread_id", message.thread.clone())
            .with("msg.priority", mail::priority_word(message.priority))
            .with("msg.type", message.kind.clone());
        let event = match self.opted_in("GT_LOG_MAIL_BODY") {
            true => event.with("msg.body", message.body.chars().take(256).collect::<String>()),
            false => event,
        };
        self.emit(event.ended(Ok(())));
        let labels = [KeyValue::new("status", "ok"), KeyValue::new("operation", operation)];
        self.count("gastown.mail.operations.total", &labels);
    }

    /// An agent's state was written: event `agent.state_change` and its metric. `run_id` when it is not the caller's own life.
    pub(crate) fn agent_state(&self, address: &str, state: &str, run_id: Option<&str>) {
        let event = record("agent.state_change").with("agent_id", address.to_string()).with("new_state", state.to_string());
        let event = run_id.into_iter().fold(event, Record::of_run);
        self.emit(event.with("hook_bead", "").ended(Ok(())));
        let labels = [KeyValue::new("status", "ok"), KeyValue::new("new_state", state.to_string())];
        self.count("gastown.agent.state_changes.total", &labels);
    }

    /// A convoy was made: event `convoy.create` and its metric.
    pub(crate) fn convoy_created(&self, bead: &str) {
        self.emit(record("convoy.create").with("bead_id", bead.to_string()).ended(Ok(())));
        self.count("gastown.convoy.creates.total", &[KeyValue::new("status", "ok")]);
    }

    /// A bead operation that the real `gt` would do by calling `bd`: event `bd.call` and its two metrics.
    pub(crate) fn bd_call(&self, args: &[&str], took: Duration, outcome: Outcome<'_>) {
        let subcommand = args.first().copied().unwrap_or_default();
        let milliseconds = took.as_millis() as f64;
        let event = record("bd.call").with("subcommand", subcommand.to_string()).with("args", args.join(" "));
        self.emit(event.with("duration_ms", milliseconds).ended(outcome));
        let labels = [KeyValue::new("status", status(&outcome)), KeyValue::new("subcommand", subcommand.to_string())];
        self.count("gastown.bd.calls.total", &labels);
        self.measure(Meter::Gt, "gastown.bd.duration_ms", milliseconds, &labels);
    }

    /// A `bd` command that used the store: `bd.storage.operations` and its duration.
    pub(crate) fn bd_storage(&self, operation: &'static str, took: Duration, failed: bool) {
        let labels = [KeyValue::new("db.operation", operation)];
        self.count_on(Meter::Bd, "bd.storage.operations", &labels);
        self.measure(Meter::Bd, "bd.storage.operation.duration", took.as_secs_f64() * 1000.0, &labels);
        if failed {
            self.count_on(Meter::Bd, "bd.storage.errors", &labels);
        }
    }

    /// How many issues have each status: gauge `bd.issue.count`.
    pub(crate) fn bd_issue_count(&self, status: &str, count: u64) {
        if self.telemetry.wants_metrics() {
            let labels = pairs(&[KeyValue::new("status", status.to_string())]);
            self.telemetry.take(Emission::Gauge { meter: Meter::Bd, name: "bd.issue.count".to_string(), value: count, labels });
        }
    }
}
