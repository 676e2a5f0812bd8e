//! The services of one run, as the harness asks for them: a fresh store that listens, the gateway, and the server of origins.
//!
//! All are tasks of this process. The run's own spans take the ordinary exporter's way into the store, without a port.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_sdk::trace::SdkTracerProvider;
use proctor_gateway::{Fault, Gateway, Scripts, World};
use proctor_harness::Halt;
use proctor_harness::cycle::{AgentCounts, GatewaySpec, Prompted, Services, ServicesEnd, TelemetryAddresses};
use proctor_harness::ledger::Written;
use proctor_harness::origins::{Forge, OriginsSpec};
use proctor_harness::scenario::Merge;
use proctor_harness::town::TownKind;
use proctor_judge::Claims;
use proctor_judge::evidence::{Exchange, Push, RefusalReason, RefusedRequests};
use proctor_store::{Options, Store, StoreError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::address::Tokens;
use super::connections::Limits;
use super::counts::Tally;
use super::exchange::into_evidence;
use super::guards::{GatewayGuard, TelemetryGuard};
use super::listener::{self, Listener};
use super::strays::Strays;
use super::{origins, otlp, queries, spans};

/// The ports that a person chose; 0 stands for any free one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ports {
    /// Telemetry in, queries out.
    pub(crate) telemetry: u16,
    /// The model gateway.
    pub(crate) gateway: u16,
}

/// The listeners, by name.
const TELEMETRY: &str = "telemetry listener";
const GATEWAY: &str = "gateway";

/// Services of one run; made anew for every run.
#[derive(Debug)]
pub(crate) struct RunServices {
    ports: Ports,
    run_id: String,
    tokens: Arc<Tokens>,
    strays: Arc<Strays>,
    state: Mutex<State>,
}

/// What has been started so far.
#[derive(Debug)]
struct State {
    store: Option<Arc<Store>>,
    tally: Tally,
    spans: Option<SdkTracerProvider>,
    gateway: Option<Gateway>,
    /// Ports that are bound and not yet served.
    bound: BTreeMap<&'static str, TcpListener>,
    pushes: Option<UnboundedReceiver<Push>>,
    listeners: Vec<Listener>,
    /// The folders of the store and of the gateway's journal.
    store_dir: PathBuf,
    journal_dir: PathBuf,
}

impl RunServices {
    /// Nothing is started yet. `secret` is what the tokens of the run's agents are made with,
    /// `claims` what records say of themselves where their address says nothing.
    pub(crate) fn new(ports: Ports, run_id: String, secret: String, claims: Claims) -> Self {
        let (tokens, strays) = (Arc::new(Tokens::of(secret)), Arc::default());
        let state = State {
            store: None,
            tally: Tally::new(claims),
            spans: None,
            gateway: None,
            bound: BTreeMap::new(),
            pushes: None,
            listeners: Vec::new(),
            store_dir: PathBuf::new(),
            journal_dir: PathBuf::new(),
        };
        Self { ports, run_id, tokens, strays, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each field is replaced as a whole, so that a panic elsewhere leaves nothing half done here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The port of a listener: the one that was bound before, else a new one.
    fn bound(&self, what: &'static str) -> Result<TcpListener, Halt> {
        let bound = self.state().bound.remove(what);
        bound.map_or_else(|| self.bind_port(what), Ok)
    }

    fn bind_port(&self, what: &'static str) -> Result<TcpListener, Halt> {
        let (flag, port) =
            if what == GATEWAY { ("--gateway-port", self.ports.gateway) } else { ("--port", self.ports.telemetry) };
        listener::bind(what, flag, port)
    }

    /// Hands over what the run's own spans hold and seals the store, when nothing listens any more; what the store wrote.
    async fn close_store(&self) -> Result<Vec<proctor_store::Written>, Halt> {
        let (spans, store) = {
            let mut state = self.state();
            (state.spans.take(), state.store.take())
        };
        blocking(move || {
            if let Some(spans) = spans {
                // A span that was lost is missed by nobody but the picture of the run.
                drop(spans.shutdown());
            }
            let Some(store) = store else { return Ok(Vec::new()) };
            store.seal().map_err(|error| store_halt(&error))?;
            Ok(store.written())
        })
        .await
    }
}

impl Services for RunServices {
    async fn bind(&self) -> Result<Vec<u16>, Halt> {
        let mut ports = Vec::new();
        for what in [TELEMETRY, GATEWAY] {
            let socket = self.bind_port(what)?;
            let address = socket.local_addr().map_err(|error| Halt::environment(format!("the {what} has no port: {error}")))?;
            ports.push(address.port());
            self.state().bound.insert(what, socket);
        }
        Ok(ports)
    }

    async fn start_telemetry(&self, dir: PathBuf) -> Result<TelemetryAddresses, Halt> {
        let folder = dir.clone();
        let store = blocking(move || {
            Store::create(&dir, Options { max_body_bytes: otlp::MAX_BODY_BYTES, ..Options::default() })
                .map_err(|error| store_halt(&error))
        })
        .await?;
        let store = Arc::new(store);
        let queried = Arc::clone(&store);
        let queried = Arc::new(move || Ok(Arc::clone(&queried)));
        let router = otlp::routes(Arc::clone(&store))
            .merge(queries::routes(queries::Queries { store: queried, now: Arc::new(|_| chrono::Utc::now()) }));
        let guard = Arc::new(TelemetryGuard::new(Arc::clone(&self.tokens), Arc::clone(&self.strays)));
        let listener = Listener::serve(TELEMETRY, self.bound(TELEMETRY)?, router, guard, Limits::of_this_process())?;
        let otlp = listener.url();
        let mut state = self.state();
        state.store_dir = folder;
        state.spans = Some(spans::provider(&store, &self.run_id));
        state.store = Some(store);
        state.listeners.push(listener);
        Ok(TelemetryAddresses {
            metrics: format!("{otlp}{}", otlp::GASTOWN_METRICS),
            logs: format!("{otlp}{}", otlp::GASTOWN_LOGS),
            otlp,
        })
    }

    async fn start_gateway(&self, spec: GatewaySpec) -> Result<String, Halt> {
        self.strays.know_lives(spec.sessions.clone());
        let folder = spec.journal.clone();
        let gateway = blocking(move || make_gateway(&spec)).await?;
        let router = gateway.router();
        let guard = Arc::new(GatewayGuard::new(Arc::clone(&self.tokens), Arc::clone(&self.strays)));
        let listener = Listener::serve(GATEWAY, self.bound(GATEWAY)?, router, guard, Limits::of_this_process())?;
        let url = listener.url();
        let mut state = self.state();
        state.journal_dir = folder;
        state.gateway = Some(gateway);
        state.listeners.push(listener);
        Ok(url)
    }

    fn exchanges(&self) -> UnboundedReceiver<Exchange> {
        let (sender, receiver) = unbounded_channel();
        if let Some(gateway) = &self.state().gateway {
            tokio::spawn(pass_on(gateway.exchanges(), sender));
        }
        receiver
    }

    async fn start_origins(&self, spec: OriginsSpec) -> Result<String, Halt> {
        let (log, pushes) = unbounded_channel();
        let listener = origins::open(Forge::new(spec).await?, log, Arc::clone(&self.strays)).await?;
        let url = listener.url();
        let mut state = self.state();
        state.pushes = Some(pushes);
        state.listeners.push(listener);
        Ok(url)
    }

    fn pushes(&self) -> UnboundedReceiver<Push> {
        self.state().pushes.take().unwrap_or_else(|| unbounded_channel().1)
    }

    async fn counts(&self) -> BTreeMap<String, AgentCounts> {
        let mut state = self.state();
        let State { store, tally, .. } = &mut *state;
        store.as_ref().map(|store| tally.counts(store)).unwrap_or_default()
    }

    async fn prompts(&self, agent: &str) -> Vec<Prompted> {
        let mut state = self.state();
        let State { store, tally, .. } = &mut *state;
        store.as_ref().map(|store| tally.prompts(store, agent)).unwrap_or_default()
    }

    fn refused_requests(&self) -> Vec<RefusedRequests> {
        let mut rows = self.strays.all();
        let left_out = self.state().gateway.as_ref().map(Gateway::unjournalled).unwrap_or_default();
        rows.extend(left_out.into_iter().map(|(agent, count)| unjournalled(agent, count)));
        rows
    }

    fn tracer_provider(&self) -> Option<SdkTracerProvider> {
        self.state().spans.clone()
    }

    async fn flush(&self) -> Result<(), Halt> {
        let (spans, gateway, store) = {
            let state = self.state();
            (state.spans.clone(), state.gateway.clone(), state.store.clone())
        };
        blocking(move || {
            if let Some(spans) = spans {
                drop(spans.force_flush());
            }
            if let Some(gateway) = gateway {
                gateway.flush().map_err(|error| environment(&error, error.hint()))?;
            }
            store.map_or(Ok(()), |store| store.seal().map_err(|error| store_halt(&error)))
        })
        .await
    }

    async fn stop(&self) -> ServicesEnd {
        let (listeners, gateway) = {
            let mut state = self.state();
            (std::mem::take(&mut state.listeners), state.gateway.take())
        };
        for listener in listeners {
            listener.close().await;
        }
        let closed = self.close_store().await;
        let state = self.state();
        let journal = gateway.map(|gateway| gateway.written()).unwrap_or_default().into_iter();
        let journal = journal.map(|file| Written {
            path: state.journal_dir.join(file.file),
            size: file.size,
            sha256: file.sha256,
            records: file.records,
        });
        let (store, failure) = match closed {
            Ok(written) => (written, None),
            Err(halt) => (Vec::new(), Some(halt)),
        };
        let store = store.into_iter().map(|file| Written {
            path: state.store_dir.join(file.file),
            size: file.size,
            sha256: file.sha256,
            records: file.records,
        });
        ServicesEnd { written: journal.chain(store).collect(), failure }
    }
}

/// Requests that the gateway's journal had no room for.
fn unjournalled(agent: String, count: u64) -> RefusedRequests {
    let now = chrono::Utc::now();
    RefusedRequests {
        listener: "gateway".to_owned(),
        reason: RefusalReason::TooMuch,
        claimed: None,
        agent: Some(agent).filter(|agent| !agent.is_empty()),
        from: None,
        example: String::new(),
        count,
        first_at: now,
        last_at: now,
    }
}

/// Reads scripts and fault plan and begins the journal.
fn make_gateway(spec: &GatewaySpec) -> Result<Gateway, Halt> {
    let scripts = Scripts::load(&spec.script, world(spec)).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Halt::harness(first).hint("every problem at once: proctor validate SCENARIO")
    })?;
    Gateway::new(proctor_gateway::Config {
        scripts,
        faults: read_faults(&spec.faults)?,
        journal_dir: spec.journal.clone(),
        clock: Arc::new(chrono::Utc::now),
    })
    .map_err(|error| environment(&error, error.hint()))
}

/// What the scripts may depend on.
fn world(spec: &GatewaySpec) -> World {
    let town = match spec.town {
        TownKind::Builtin => proctor_gateway::Town::Builtin,
        TownKind::Gastown => proctor_gateway::Town::Gastown,
    };
    let merge = match spec.merge {
        Merge::Queue => proctor_gateway::Merge::Queue,
        Merge::Direct => proctor_gateway::Merge::Direct,
    };
    World { town, merge, daemon: spec.daemon }
}

fn read_faults(path: &Path) -> Result<Vec<Fault>, Halt> {
    let text = std::fs::read_to_string(path).map_err(|error| Halt::io("read", path, &error))?;
    Fault::list(&text).map_err(|error| Halt::harness(format!("{}: {error}", path.display())))
}

/// Hands every journal row on until the gateway or the receiver is gone. A lag of thousands of rows is passed over: the
/// rows feed the live display, and the journal has them all.
async fn pass_on(mut rows: tokio::sync::broadcast::Receiver<proctor_gateway::Exchange>, sender: UnboundedSender<Exchange>) {
    loop {
        let row = match rows.recv().await {
            Ok(row) => row,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        // Only what an agent asks of its model tells what the agent does.
        let row = into_evidence(row);
        if row.is_of_a_model() && sender.send(row).is_err() {
            return;
        }
    }
}

/// Runs work that waits for the disk off the runtime's own threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Halt> + Send + 'static) -> Result<T, Halt> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Halt::harness(format!("a task of the services failed: {error}"))),
    }
}

fn store_halt(error: &StoreError) -> Halt {
    environment(error, error.hint().map(str::to_owned))
}

fn environment(error: &impl std::fmt::Display, hint: Option<String>) -> Halt {
    let halt = Halt::environment(error.to_string());
    match hint {
        Some(hint) => halt.hint(hint),
        None => halt,
    }
}
