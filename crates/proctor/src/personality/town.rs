//! `gt` and `bd`: one call into the built-in town, its output, and its telemetry handed over at exit.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;
use proctor_town::{Call, Output, Telemetry};

use super::{Environment, arguments, environment};
use crate::telemetry::{Providers, Settings, gastown_resource};

/// Which of the town's two programs is played.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    /// The town's command line.
    Gt,
    /// The command line of its work items.
    Bd,
}

/// Gas Town exports its logs once a second.
const LOGS_INTERVAL: Duration = Duration::from_secs(1);

/// Gas Town exports its metrics every 30 s and at the end.
const METRICS_INTERVAL: Duration = Duration::from_secs(30);

/// Runs the command line of this process.
pub(super) fn run(program: Program) -> ExitCode {
    let env = environment();
    let Ok(cwd) = std::env::current_dir() else {
        eprintln!("Error: the current directory does not exist");
        return ExitCode::FAILURE;
    };
    let providers = Providers::new(&settings(program, &env));
    let call = Call {
        args: arguments(),
        env,
        cwd,
        stdin: Box::new(std::io::stdin()),
        clock: Arc::new(chrono::Utc::now),
        run_ids: Arc::new(|| uuid::Uuid::new_v4().to_string()),
        telemetry: Telemetry { logs: providers.logs.clone(), metrics: providers.metrics.clone() },
    };
    let output = match program {
        Program::Gt => proctor_town::gt(call),
        Program::Bd => proctor_town::bd(call),
    };
    write_output(&output);
    providers.shutdown();
    ExitCode::from(output.code)
}

/// The URLs are full ones. `bd` has no log exporter, as the real one has none.
fn settings(program: Program, env: &Environment) -> Settings {
    let url = |key: &str| env.get(key).filter(|value| !value.is_empty()).cloned();
    let inherited = env.get("OTEL_RESOURCE_ATTRIBUTES");
    let (service, metrics_url, logs_url) = match program {
        Program::Gt => ("gastown", url("GT_OTEL_METRICS_URL"), url("GT_OTEL_LOGS_URL")),
        Program::Bd => ("bd", url("BD_OTEL_METRICS_URL"), None),
    };
    let version = env!("CARGO_PKG_VERSION");
    Settings {
        metrics_url,
        logs_url,
        traces_url: None,
        resource: gastown_resource(service, version, inherited.map_or("", String::as_str)),
        metrics_interval: METRICS_INTERVAL,
        logs_interval: LOGS_INTERVAL,
        temporality: Temporality::Cumulative,
    }
}

/// A reader that went away (`gt … | head`) is no error of the command.
fn write_output(output: &Output) {
    let mut stdout = std::io::stdout().lock();
    drop(stdout.write_all(output.stdout.as_bytes()));
    drop(stdout.flush());
    drop(std::io::stderr().lock().write_all(output.stderr.as_bytes()));
}
