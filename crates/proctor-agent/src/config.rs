//! What an agent is started with; the edge fills it from the environment.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use opentelemetry::KeyValue;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use uuid::Uuid;

/// Who the agent is and what it talks to.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the Messages API is, without `/v1/messages`: `https://api.anthropic.com` (`ANTHROPIC_BASE_URL`).
    pub base_url: String,
    /// What is sent to prove who asks.
    pub credential: Credential,
    /// `ANTHROPIC_MODEL`.
    pub model: String,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// What the model is told before everything else; see [`default_system_prompt`].
    pub system: String,
    /// The first user text; none: the agent waits for input at once.
    pub beacon: Option<String>,
    /// `GT_ROLE`: `mayor`, `alice/polecats/furiosa`. A polecat ends after a turn in which `gt done` succeeded.
    pub role: Option<String>,
    /// What the agent is typed to through.
    pub terminal: Terminal,
    /// Where commands run.
    pub directory: PathBuf,
    /// How failed requests are repeated.
    pub retry: Retry,
}

impl Config {
    /// Whether the agent is a polecat, by its address.
    #[must_use]
    pub fn is_polecat(&self) -> bool {
        let role = self.role.as_deref().unwrap_or_default();
        role == "polecat" || role.split('/').nth(1) == Some("polecats")
    }
}

/// What the agent is typed to through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terminal {
    /// A pseudo-terminal or a pipe: an LF that nothing follows can be an Enter, and the prompt sign is first shown when the
    /// beacon's turn is over.
    #[default]
    Plain,
    /// A pane of tmux: Enter is always CR, and texts may arrive in chunks with any pause between them. Towns that use panes
    /// look for the prompt sign to tell a program that lives from a shell or a dialogue, so it is shown at once.
    Pane,
}

/// What proves to the provider who asks.
#[derive(Clone)]
pub enum Credential {
    /// `x-api-key` (`ANTHROPIC_API_KEY`).
    ApiKey(String),
    /// `authorization: Bearer` (`ANTHROPIC_AUTH_TOKEN`).
    Token(String),
    /// Nothing.
    None,
}

impl std::fmt::Debug for Credential {
    // Never the secret itself: configurations end up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(…)",
            Self::Token(_) => "Token(…)",
            Self::None => "None",
        })
    }
}

/// Repetition of requests that were answered with 429 or 5xx, were cut, or found nobody listening.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Tries in all, the first included.
    pub tries: u32,
    /// Wait before the second try; doubled before each further one.
    pub first: Duration,
    /// Longest wait. A `retry-after` header of the provider can make a wait longer than the plan, but not longer than a minute.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 10, first: Duration::from_millis(200), longest: Duration::from_secs(5) }
    }
}

/// Time and chance.
pub struct Surroundings {
    /// The time of events; durations are its differences.
    pub clock: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// New ids: the session's, each prompt's.
    pub ids: Box<dyn Fn() -> Uuid + Send + Sync>,
}

/// Where telemetry goes and what it says. The providers carry resource, exporters and temporality (delta, as Claude Code's).
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// Takes log events; none: none are emitted.
    pub logs: Option<SdkLoggerProvider>,
    /// Takes metrics; none: none are emitted.
    pub metrics: Option<SdkMeterProvider>,
    /// Repeated on every record and data point: the `gt.*` attributes.
    pub attributes: Vec<KeyValue>,
    /// Whether prompts are written out (`OTEL_LOG_USER_PROMPTS`), or only their length.
    pub log_prompts: bool,
    /// Whether tool inputs are written out (`OTEL_LOG_TOOL_DETAILS`).
    pub log_tool_details: bool,
}

/// What the model is told when nobody says otherwise.
#[must_use]
pub fn default_system_prompt(role: Option<&str>) -> String {
    let who = role.map_or_else(String::new, |role| format!(" You are `{role}`."));
    format!(
        "You are an agent in a town of coding agents.{who} You work through the tool Bash, which runs shell commands in your \
         working directory. Each text you are given is one task: do it completely, check what you did, and end your turn with a \
         short account. `gt` and `bd` are the town's commands; `gt prime` says how your role uses them."
    )
}
