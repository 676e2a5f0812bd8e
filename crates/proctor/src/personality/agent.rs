//! `proctor-agent BEACON`: the built-in agent in its terminal, configured by the environment that towns give to Claude Code.

use std::process::ExitCode;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::Temporality;
use proctor_agent::{Config, Credential, RawMode, Retry, Stop, Surroundings, Telemetry, Terminal, default_system_prompt};

use super::{Environment, arguments, environment};
use crate::telemetry::{Providers, Settings, parse_attributes, resource};

/// Claude Code's own defaults between two exports.
const LOGS_INTERVAL: Duration = Duration::from_secs(5);
const METRICS_INTERVAL: Duration = Duration::from_secs(60);

/// Most tokens of one answer.
const MAX_TOKENS: u32 = 32_000;

/// Runs the agent until its input ends, it is told to stop, or its work is done.
pub(super) fn run() -> ExitCode {
    let env = environment();
    let config = match config(&env) {
        Ok(config) => config,
        Err(message) => {
            eprintln!("proctor-agent: {message}");
            return ExitCode::from(crate::failure::code::USAGE);
        }
    };
    let stop = Stop::new();
    if let Err(error) = stop_on_signals(&stop) {
        eprintln!("proctor-agent: cannot watch for signals: {error}");
    }
    // A terminal that refuses the mode still works, only with shorter lines.
    let raw = RawMode::set(std::io::stdin()).unwrap_or_default();
    let providers = Providers::new(&settings(&env));
    let status =
        proctor_agent::run(config, std::io::stdin(), std::io::stdout(), &stop, surroundings(), telemetry(&env, &providers));
    providers.shutdown();
    drop(raw);
    ExitCode::from(status.code())
}

fn config(env: &Environment) -> Result<Config, String> {
    let text = |key: &str| env.get(key).filter(|value| !value.is_empty()).cloned();
    let directory = std::env::current_dir().map_err(|error| format!("the current directory cannot be used: {error}"))?;
    let role = text("GT_ROLE");
    Ok(Config {
        base_url: text("ANTHROPIC_BASE_URL").unwrap_or_else(|| "https://api.anthropic.com".to_owned()),
        credential: credential(env),
        model: text("ANTHROPIC_MODEL").ok_or("ANTHROPIC_MODEL is not set: it names the model to ask")?,
        max_tokens: MAX_TOKENS,
        system: default_system_prompt(role.as_deref()),
        beacon: arguments().pop(),
        role,
        terminal: if text("TMUX_PANE").is_some() { Terminal::Pane } else { Terminal::Plain },
        directory,
        retry: Retry::default(),
    })
}

fn credential(env: &Environment) -> Credential {
    let text = |key: &str| env.get(key).filter(|value| !value.is_empty()).cloned();
    match (text("ANTHROPIC_AUTH_TOKEN"), text("ANTHROPIC_API_KEY")) {
        (Some(token), _) => Credential::Token(token),
        (None, Some(key)) => Credential::ApiKey(key),
        (None, None) => Credential::None,
    }
}

/// The signals by which a town or a person ends an agent.
fn stop_on_signals(stop: &Stop) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT])?;
    let stop = stop.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || signals.forever().for_each(|_| stop.request()))?;
    Ok(())
}

fn surroundings() -> Surroundings {
    Surroundings { clock: Box::new(chrono::Utc::now), ids: Box::new(uuid::Uuid::new_v4) }
}

fn telemetry(env: &Environment, providers: &Providers) -> Telemetry {
    let is_on = |key: &str| env.get(key).is_some_and(|value| value == "1" || value == "true");
    Telemetry {
        logs: providers.logs.clone(),
        metrics: providers.metrics.clone(),
        attributes: gastown_attributes(env),
        log_prompts: is_on("OTEL_LOG_USER_PROMPTS"),
        log_tool_details: is_on("OTEL_LOG_TOOL_DETAILS"),
    }
}

/// Claude Code repeats the `gt.*` attributes of its resource on every record; the long `gt.prompt` stays on the resource.
fn gastown_attributes(env: &Environment) -> Vec<KeyValue> {
    let inherited = env.get("OTEL_RESOURCE_ATTRIBUTES").map_or("", String::as_str);
    let mut attributes = parse_attributes(inherited);
    attributes.retain(|pair| pair.key.as_str().starts_with("gt.") && pair.key.as_str() != "gt.prompt");
    attributes
}

fn settings(env: &Environment) -> Settings {
    let inherited = env.get("OTEL_RESOURCE_ATTRIBUTES").map_or("", String::as_str);
    let mut attributes = parse_attributes(inherited);
    attributes.extend([
        KeyValue::new("service.name", "claude-code"),
        KeyValue::new("service.version", concat!("proctor-", env!("CARGO_PKG_VERSION"))),
        KeyValue::new("os.type", std::env::consts::OS),
        KeyValue::new("host.arch", std::env::consts::ARCH),
    ]);
    Settings {
        metrics_url: endpoint(env, "METRICS"),
        logs_url: endpoint(env, "LOGS"),
        traces_url: None,
        resource: resource(attributes),
        metrics_interval: interval(env, "OTEL_METRIC_EXPORT_INTERVAL", METRICS_INTERVAL),
        logs_interval: interval(env, "OTEL_LOGS_EXPORT_INTERVAL", LOGS_INTERVAL),
        temporality: Temporality::Delta,
    }
}

/// The URL of a signal (`METRICS`, `LOGS`), when telemetry is switched on and this signal goes to an OTLP endpoint.
fn endpoint(env: &Environment, signal: &str) -> Option<String> {
    let is_on = env.get("CLAUDE_CODE_ENABLE_TELEMETRY").is_some_and(|value| value == "1");
    let exporter = env.get(&format!("OTEL_{signal}_EXPORTER"));
    if !is_on || exporter.is_none_or(|exporter| exporter != "otlp") {
        return None;
    }
    let own = env.get(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
    let base = env.get("OTEL_EXPORTER_OTLP_ENDPOINT");
    own.cloned().or_else(|| {
        let base = base?.trim_end_matches('/');
        Some(format!("{base}/v1/{}", signal.to_lowercase()))
    })
}

/// Milliseconds of that variable.
fn interval(env: &Environment, key: &str, default: Duration) -> Duration {
    env.get(key).and_then(|text| text.parse().ok()).filter(|millis| *millis > 0).map_or(default, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_signal_has_an_endpoint_only_when_telemetry_and_its_exporter_are_on() {
        let full = [
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:1/agents/mayor/v1/logs"),
        ];
        assert_eq!(endpoint(&env(&full), "LOGS").as_deref(), Some(full[2].1));
        assert_eq!(endpoint(&env(&full[1..]), "LOGS"), None);
        assert_eq!(endpoint(&env(&[full[0], full[2]]), "LOGS"), None);
        assert_eq!(endpoint(&env(&full), "METRICS"), None);
    }

    #[test]
    fn the_common_endpoint_gets_the_signals_path() {
        let common = env(&[
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/"),
        ]);
        assert_eq!(endpoint(&common, "METRICS").as_deref(), Some("http://localhost:4318/v1/metrics"));
    }

    #[test]
    fn a_token_wins_over_a_key() {
        let both = env(&[("ANTHROPIC_AUTH_TOKEN", "t"), ("ANTHROPIC_API_KEY", "k")]);
        assert!(matches!(credential(&both), Credential::Token(token) if token == "t"));
        assert!(matches!(credential(&env(&[])), Credential::None));
    }

    #[test]
    fn records_repeat_the_towns_attributes_but_not_the_prompt() {
        let found = gastown_attributes(&env(&[("OTEL_RESOURCE_ATTRIBUTES", "gt.role=mayor,gt.prompt=long,proctor.run.id=7k3f")]));
        assert_eq!(found, [KeyValue::new("gt.role", "mayor")]);
    }
}
