//! What the cycle needs of the edge: a telemetry store that listens, a gateway that plays the model provider, and a server of origins.
//!
//! The harness is given addresses and paths only; it never sees the inside of either.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;

use opentelemetry_sdk::trace::SdkTracerProvider;
use proctor_judge::evidence::{AgentId, Exchange, Push, RefusedRequests};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::halt::Halt;
use crate::ledger::Written;
use crate::origins::OriginsSpec;
use crate::scenario::Merge;
use crate::town::TownKind;

/// Where telemetry of a run goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryAddresses {
    /// Full URL for metrics of the town itself.
    pub metrics: String,
    /// Full URL for logs of the town itself.
    pub logs: String,
    /// Base address of the OTLP listener (`http://127.0.0.1:40213`): agents send below `/agents/<agent>/`.
    pub otlp: String,
}

/// What the gateway plays.
#[derive(Clone, Debug)]
pub struct GatewaySpec {
    /// The folder of scripts.
    pub script: PathBuf,
    /// `faults.json`.
    pub faults: PathBuf,
    /// The journal's folder: `evidence/gateway`.
    pub journal: PathBuf,
    /// The town that the scripts play in.
    pub town: TownKind,
    /// How work is merged there.
    pub merge: Merge,
    /// Whether the daemon of a real town runs.
    pub daemon: bool,
    /// Where the launcher writes whom it started: `B/sessions.ndjson`.
    pub sessions: PathBuf,
}

/// What the store has of one agent, by the address its records came by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AgentCounts {
    /// Log records.
    pub records: u64,
    /// Input and output tokens of its API requests.
    pub tokens: u64,
    /// Cost that it reported, in US dollars.
    pub cost_usd: f64,
}

/// What an agent says that it was prompted with: a `claude_code.user_prompt` event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompted {
    /// The text; absent when the agent does not tell.
    pub text: Option<String>,
    /// Its length in characters.
    pub length: Option<u64>,
}

/// What the services leave when they stop.
#[derive(Clone, Debug, Default)]
pub struct ServicesEnd {
    /// Every evidence file that they wrote, as they summed it up while writing.
    pub written: Vec<Written>,
    /// Why the store could not be closed as it must be.
    pub failure: Option<Halt>,
}

/// The edge's services for one run. Every method may be called from any task.
pub trait Services: Send + Sync + 'static {
    /// Binds the ports of the listeners before anything of the town is there, so that a fence can let programs connect to them. What
    /// connects before a listener starts waits for it. The ports.
    fn bind(&self) -> impl Future<Output = Result<Vec<u16>, Halt>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Opens a fresh store in `store` and listens.
    fn start_telemetry(&self, store: PathBuf) -> impl Future<Output = Result<TelemetryAddresses, Halt>> + Send;

    /// Loads the scripts and listens; the base address of the gateway.
    fn start_gateway(&self, spec: GatewaySpec) -> impl Future<Output = Result<String, Halt>> + Send;

    /// Every exchange from now on, as it is journalled. Called once, after the gateway's start.
    fn exchanges(&self) -> UnboundedReceiver<Exchange>;

    /// Serves the origins over HTTP; their base address, below which `/<rig>.git` lies. Called in phase 2, before the town is made, and not
    /// at all where origins are folders.
    fn start_origins(&self, spec: OriginsSpec) -> impl Future<Output = Result<String, Halt>> + Send;

    /// Every push to the served origins, each before whoever pushed hears of it. Called once, after their start.
    fn pushes(&self) -> UnboundedReceiver<Push>;

    /// What the store has, per agent; the empty address is the town itself.
    fn counts(&self) -> impl Future<Output = BTreeMap<AgentId, AgentCounts>> + Send;

    /// What the store has of an agent's prompts, in the order of their arrival.
    fn prompts(&self, agent: &str) -> impl Future<Output = Vec<Prompted>> + Send;

    /// The requests so far that count for nobody or were refused, alike ones together.
    fn refused_requests(&self) -> Vec<RefusedRequests>;

    /// The provider behind which the run's own spans go to the store; absent before telemetry listens.
    fn tracer_provider(&self) -> Option<SdkTracerProvider>;

    /// Makes everything that was received durable and readable.
    fn flush(&self) -> impl Future<Output = Result<(), Halt>> + Send;

    /// Closes all listeners, takes in the run's last spans and closes the store. Called once, last, however the run ended; nothing is
    /// written by the services afterwards.
    fn stop(&self) -> impl Future<Output = ServicesEnd> + Send;
}

/// The next exchange; never, when there is no gateway any more.
pub(crate) async fn next_exchange(exchanges: &mut Option<UnboundedReceiver<Exchange>>) -> Exchange {
    if let Some(receiver) = exchanges
        && let Some(exchange) = receiver.recv().await
    {
        return exchange;
    }
    *exchanges = None;
    std::future::pending().await
}

/// The next push; never, where no origins are served.
pub(crate) async fn next_push(pushes: &mut Option<UnboundedReceiver<Push>>) -> Push {
    if let Some(receiver) = pushes
        && let Some(push) = receiver.recv().await
    {
        return push;
    }
    *pushes = None;
    std::future::pending().await
}
