//! OpenTelemetry providers, built from explicit settings that the personalities take from their environment.
//!
//! One-shot programs (`gt`, `bd`) live a few milliseconds, so nothing here starts a runtime and a collector that does
//! not answer costs at most [`FLUSH_LIMIT`] at exit.

mod http_client;
mod resource;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{LogExporter, MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::SdkTracerProvider;

pub(crate) use resource::{gastown_resource, parse_attributes};

use http_client::LoopbackClient;

/// How long a program may take, at its end, to hand over what it has recorded. Gas Town allows its commands 2 s.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Where and how one program's telemetry goes. A signal without a URL has no provider.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Full URL for metrics.
    pub(crate) metrics_url: Option<String>,
    /// Full URL for logs.
    pub(crate) logs_url: Option<String>,
    /// Full URL for traces.
    pub(crate) traces_url: Option<String>,
    /// What the records say about their program.
    pub(crate) resource: Resource,
    /// Between two exports of metrics.
    pub(crate) metrics_interval: Duration,
    /// Between two exports of logs.
    pub(crate) logs_interval: Duration,
    /// Whether counters are exported as sums since the start or since the last export.
    pub(crate) temporality: Temporality,
}

/// The providers of one program. Dropping them loses what was not exported: call [`Providers::shutdown`].
#[derive(Debug, Default)]
pub(crate) struct Providers {
    /// Logs.
    pub(crate) logs: Option<SdkLoggerProvider>,
    /// Metrics.
    pub(crate) metrics: Option<SdkMeterProvider>,
    /// Traces.
    pub(crate) traces: Option<SdkTracerProvider>,
}

impl Providers {
    /// Builds a provider for each signal that has a URL. A URL that cannot be used gives no provider: telemetry never
    /// stops the program that it describes.
    pub(crate) fn new(settings: &Settings) -> Self {
        let client: Arc<dyn HttpClient> = Arc::new(LoopbackClient::new(FLUSH_LIMIT));
        Self {
            logs: settings.logs_url.as_deref().and_then(|url| logger_provider(url, settings, &client)),
            metrics: settings.metrics_url.as_deref().and_then(|url| meter_provider(url, settings, &client)),
            traces: settings.traces_url.as_deref().and_then(|url| tracer_provider(url, settings, &client)),
        }
    }

    /// Exports what is left, all signals at the same time, and ends the providers.
    pub(crate) fn shutdown(self) {
        std::thread::scope(|scope| {
            if let Some(logs) = self.logs {
                scope.spawn(move || logs.shutdown_with_timeout(FLUSH_LIMIT));
            }
            if let Some(traces) = self.traces {
                scope.spawn(move || traces.shutdown_with_timeout(FLUSH_LIMIT));
            }
            if let Some(metrics) = self.metrics {
                drop(metrics.shutdown_with_timeout(FLUSH_LIMIT));
            }
        });
    }
}

fn logger_provider(url: &str, settings: &Settings, client: &Arc<dyn HttpClient>) -> Option<SdkLoggerProvider> {
    let exporter = LogExporter::builder()
        .with_http()
        .with_shared_http_client(Arc::clone(client))
        .with_retry_policy(RetryPolicy::disabled())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(FLUSH_LIMIT)
        .with_endpoint(url)
        .build()
        .ok()?;
    let batches = BatchConfigBuilder::default().with_scheduled_delay(settings.logs_interval).build();
    let processor = BatchLogProcessor::builder(exporter).with_batch_config(batches).build();
    Some(SdkLoggerProvider::builder().with_resource(settings.resource.clone()).with_log_processor(processor).build())
}

fn meter_provider(url: &str, settings: &Settings, client: &Arc<dyn HttpClient>) -> Option<SdkMeterProvider> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_shared_http_client(Arc::clone(client))
        .with_retry_policy(RetryPolicy::disabled())
        .with_temporality(settings.temporality)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(FLUSH_LIMIT)
        .with_endpoint(url)
        .build()
        .ok()?;
    let reader = PeriodicReader::builder(exporter).with_interval(settings.metrics_interval).build();
    Some(SdkMeterProvider::builder().with_resource(settings.resource.clone()).with_reader(reader).build())
}

fn tracer_provider(url: &str, settings: &Settings, client: &Arc<dyn HttpClient>) -> Option<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_shared_http_client(Arc::clone(client))
        .with_retry_policy(RetryPolicy::disabled())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(FLUSH_LIMIT)
        .with_endpoint(url)
        .build()
        .ok()?;
    Some(SdkTracerProvider::builder().with_resource(settings.resource.clone()).with_batch_exporter(exporter).build())
}

/// A resource with `attributes` and nothing that a library would find out by itself.
pub(crate) fn resource(attributes: Vec<KeyValue>) -> Resource {
    Resource::builder_empty().with_attributes(attributes).build()
}
