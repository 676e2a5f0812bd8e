//! Gas Town's log events and metrics, under its own names.
//!
//! The edge builds the providers with their resource and exporter and flushes them; this module only emits. Without providers
//! nothing is emitted.

use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;

/// Where a command's events and measurements go. The default goes nowhere.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// Log events; absent when `GT_OTEL_LOGS_URL` is not set.
    pub logs: Option<SdkLoggerProvider>,
    /// Metrics; absent when `GT_OTEL_METRICS_URL` (for `bd`: `BD_OTEL_METRICS_URL`) is not set.
    pub metrics: Option<SdkMeterProvider>,
}
