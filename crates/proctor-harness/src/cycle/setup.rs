//! Phases 1 to 5: a fresh store, a fresh town, listeners and the fixed environment, the coordinator, the prompt.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proctor_judge::evidence::{Receipt, StopKind, path};
use tokio::time::Instant;

use super::commands::Watching;
use super::live::one_line;
use super::receipt::Proof;
use super::recorder::Done;
use super::reserve::Kept;
use super::run::Run;
use super::stalled::StalledCollector;
use super::sums::Sums;
use super::{GatewaySpec, Services, agents};
use crate::base::{Base, ENVIRONMENT, OWN, file_url};
use crate::exercise::{self, programs};
use crate::fence::{AGENTS, REFUSED};
use crate::halt::Halt;
use crate::landed::git::{GITCONFIG, Git};
use crate::landed::{History, Landed};
use crate::launch::{AGENT_TABLE, BUILTIN, SESSIONS_FILE};
use crate::ledger::write_json;
use crate::linux;
use crate::origins::log::PushLog;
use crate::scenario::{Fault, FaultKind};
use crate::town::{self, Site, Town, TownKind};

/// How often a prompt is sent before it counts as lost.
const DELIVERIES: u32 = 3;
/// The mayor of a town whose agents the harness does not choose.
const OWN_PROGRAM: &str = "the town's own";

impl<S: Services> Run<S> {
    /// Phase 1.
    pub(crate) fn reset_telemetry(&mut self) -> Result<Done, Halt> {
        self.kept = Kept::take()?;
        self.record_fence();
        let mut plan = self.request.scenario.plan();
        plan.landing_timeout_s = self.landing_limit().as_secs_f64();
        self.rec.ledger.write_json(&self.rec.evidence.join(path::PLAN), &plan)?;
        exercise::keep(&self.request.scenario, &self.rec.ledger, &self.rec.evidence)?;
        let done = Done::new("fresh store").fact("store", "evidence/telemetry");
        Ok(done.fact("run", self.request.run_id.clone()))
    }

    /// Phase 2.
    pub(crate) async fn reset_town(&mut self) -> Result<Done, Halt> {
        let owner = self.request.namespace.holder();
        let base = Base::create_for(owner, &self.request.cache, &self.request.id, &self.request.report, self.rec.now())?;
        let base = Arc::new(base);
        self.base = Some(Arc::clone(&base));
        self.fill_base(&base)?;
        self.commands = Some(Watching::begin(&self.request.id, &base.path(SESSIONS_FILE), Arc::clone(&self.rec.clock)));
        self.begun = Some(self.rec.now());
        let root = base.root().to_owned();
        let git = self.find_git(&root).await?;
        self.serve_origins(&base, &git).await?;
        let site = self.site(base, git.clone());
        let town = town::found(self.request.town, site).await?;
        self.give_town_credentials(&*town);
        can_be_hit(&self.request.scenario.spec.fault, self.request.town, town.servers())?;
        for (name, (path, version)) in town.programs() {
            self.rec.record.versions.insert(name.clone(), version.clone());
            self.programs.insert(name, (path, version));
        }
        self.needed = programs::find(&self.request.scenario.spec, &self.request.environment).await?;
        for (name, found) in &self.needed {
            self.rec.record.versions.insert(name.clone(), found.version.clone());
            self.programs.insert(name.clone(), (found.path.display().to_string(), found.version.clone()));
        }
        self.sums = Sums::begin(self.programs.values().map(|(path, _)| path.into()));
        let spec = &self.request.scenario.spec;
        let history = if self.origins.is_some() { History::Log(PushLog::default()) } else { History::Reflogs };
        let landed = Landed::new(git.clone(), &root.join("origins"), history, &spec.convoy, &spec.landed.clauses);
        // A town that was there before has older convoys, maybe of the same title.
        let is_old = self.request.live_town.is_some();
        self.landed = Some(if is_old { landed.since_begun(self.rec.now()) } else { landed });
        self.git = Some(git);
        self.open_ports(town.as_ref()).await?;
        self.enter_fence(town.as_ref()).await?;
        let facts = town.prepare().await;
        if let Some(landed) = &mut self.landed {
            landed.begin(self.request.scenario.spec.rig.iter().map(|rig| rig.name.as_str()));
        }
        self.town = Some(town);
        let what = match &self.request.live_town {
            Some(_) => "live town, left as it is".to_owned(),
            None => format!("fresh town, seed {}", self.request.seed),
        };
        let mut done = Done::new(what).fact("base directory", root.display().to_string());
        done.facts.extend(facts?);
        self.rec.record.notes.insert("base".into(), root.display().to_string());
        let live = self.request.live_town.iter().map(|town| ("live_town".to_owned(), town.display().to_string()));
        self.rec.record.notes.extend(live);
        Ok(done)
    }

    /// Binds what the town and its agents connect to, before anything of the town is there: a fence must know it.
    async fn open_ports(&mut self, town: &dyn Town) -> Result<(), Halt> {
        self.ports.extend(self.services.bind().await?);
        self.ports.extend(town.ports());
        if self.request.scenario.spec.fault.iter().any(|fault| fault.kind == FaultKind::Collector) {
            let stalled = StalledCollector::begin(Arc::clone(&self.rec.clock)).await?;
            self.ports.extend(stalled.port());
            self.stalled = Some(stalled);
        }
        Ok(())
    }

    async fn find_git(&mut self, root: &Path) -> Result<Git, Halt> {
        let path = self.request.environment.get("PATH").map_or("/usr/bin:/bin", String::as_str);
        let program = linux::find_program("git", path)
            .ok_or_else(|| Halt::environment(format!("no git was found in {path}")).hint("install git"))?;
        let git = Git::own(program.clone(), &root.join(OWN));
        let version = git.version().await?;
        self.programs.insert("git".into(), (program.display().to_string(), version.clone()));
        self.rec.record.versions.insert("git".into(), version);
        Ok(git)
    }

    fn site(&self, base: Arc<Base>, git: Git) -> Site {
        Site {
            base,
            id: self.request.id.clone(),
            seed: self.request.seed,
            git,
            origins: self.origins.clone(),
            secret: self.request.secret.clone(),
            spec: Arc::new(self.request.scenario.spec.clone()),
            files: self.request.scenario.files.clone(),
            proctor: self.request.proctor.clone(),
            live_town: self.request.live_town.clone(),
            namespace: self.request.namespace.clone(),
            user: self.request.environment.clone(),
            cache: self.request.cache.clone(),
            raw: self.rec.evidence.join(path::RAW),
            ledger: self.rec.ledger.clone(),
            clock: Arc::clone(&self.rec.clock),
        }
    }

    fn fill_base(&self, base: &Base) -> Result<(), Halt> {
        let now = self.rec.now();
        for folder in ["bin", "origins", OWN, "home", "tmp", "rt", "work", AGENTS, REFUSED] {
            base.folder(folder, now)?;
        }
        for name in ["proctor-agent", "agent-launch", "proctor-fence"] {
            base.link(&format!("bin/{name}"), &self.request.proctor, now)?;
        }
        let config = base.path("home/.gitconfig");
        fs::write(&config, GITCONFIG).map_err(|error| Halt::io("write", &config, &error))?;
        let scenario = base.folder("scenario", now)?;
        self.request.scenario.for_play().write_to(&scenario).map_err(|error| Halt::io("write", &scenario, &error))
    }

    /// Phase 3. From here on the environment of everything in the town is fixed.
    pub(crate) async fn start_telemetry(&mut self) -> Result<Done, Halt> {
        let root = self.root()?;
        self.note_listeners()?;
        self.services_begun = true;
        let addresses = self.services.start_telemetry(self.rec.evidence.join(path::TELEMETRY)).await?;
        let spec = self.request.scenario.spec.clone();
        let faults = root.join("faults.json");
        write_json(&faults, &agents::gateway_faults(&spec.fault))?;
        let gateway = GatewaySpec {
            script: root.join("scenario").join(&spec.script),
            faults,
            journal: self.rec.evidence.join("gateway"),
            town: self.request.town,
            merge: spec.merge,
            daemon: spec.daemon && self.request.town == TownKind::Gastown,
            sessions: root.join(SESSIONS_FILE),
        };
        let gateway = self.services.start_gateway(gateway).await?;
        self.exchanges = Some(self.services.exchanges());
        let search = self.request.environment.get("PATH").cloned().unwrap_or_default();
        let stalled = self.stalled.as_ref().map(|collector| collector.address.as_str());
        let at = agents::Addresses {
            gateway: &gateway,
            otlp: &addresses.otlp,
            stalled,
            secret: &self.request.secret,
            origins: self.origins.as_deref(),
        };
        let mut table = agents::table(&spec, &self.request.agents, self.town()?.roles(), &root, &search, at)?;
        table.fence = self.agents_fence(&table, &self.ports);
        write_in_place(&root.join(AGENT_TABLE), &table)?;
        self.table = Some(table);
        self.town()?.add_environment(BTreeMap::from([
            ("GT_OTEL_METRICS_URL".to_owned(), addresses.metrics.clone()),
            ("GT_OTEL_LOGS_URL".to_owned(), addresses.logs.clone()),
            ("OTEL_RESOURCE_ATTRIBUTES".to_owned(), format!("proctor.run.id={}", self.request.run_id)),
        ]));
        write_json(&root.join(ENVIRONMENT), &self.town()?.environment())?;
        let ports =
            [("metrics", &addresses.metrics), ("logs", &addresses.logs), ("otlp", &addresses.otlp), ("gateway", &gateway)];
        let detail: Vec<String> = ports.iter().map(|(name, url)| format!("{name} {}", port(url))).collect();
        let mut done = Done::new(detail.join(" · "));
        for (name, url) in ports {
            self.rec.record.notes.insert(name.into(), url.clone());
            done = done.fact(name, url.clone());
        }
        Ok(done)
    }

    fn note_listeners(&mut self) -> Result<(), Halt> {
        let now = self.rec.now();
        let base = self.base.as_ref().ok_or_else(|| Halt::harness("the town was not prepared"))?;
        base.note("listener", "telemetry, in this process", now)?;
        base.note("listener", "gateway, in this process", now)
    }

    /// Phase 4.
    pub(crate) async fn start_town(&mut self) -> Result<Done, Halt> {
        let now = self.rec.now();
        if let Some(base) = &self.base {
            base.note("process", "gt mayor start: the town's daemon and the mayor", now)?;
        }
        let limit = self.request.scenario.spec.timeouts.start.0.max(self.town()?.tempo().start);
        let program = self
            .table
            .as_ref()
            .and_then(|table| table.entry("mayor").ok())
            .map(|(_, entry)| entry.program.clone())
            .unwrap_or_else(|| OWN_PROGRAM.to_owned());
        self.town()?.start(limit).await.map_err(|halt| not_started(halt, &program))?;
        Ok(Done::new("mayor listens").fact("mayor", program))
    }

    /// Phase 5.
    pub(crate) async fn inject_prompt(&mut self) -> Result<Done, Halt> {
        let text = self.prompt()?;
        let limit = self.receipt_limit();
        let before = self.services.prompts("mayor").await.len();
        let sent_at = self.rec.now();
        let mut delivery = Receipt { bytes: text.len() as u64, sent_at, received_at: None, proof: None, whole: None };
        self.rec.record.delivery = Some(delivery.clone());
        let mut found = None;
        for again in 0..DELIVERIES {
            if again > 0 {
                self.rec.note("prompt_resent", "the prompt was sent again", BTreeMap::new())?;
            }
            match self.lost_delivery(again) {
                Some(fault) => {
                    self.town()?.lose(&text, again).await?;
                    self.live.fired.entry(fault).or_insert(self.rec.now());
                }
                None => match self.town()?.deliver(&text, again).await {
                    Err(halt) if self.has_own_mayor_ended().await => {
                        self.rec.log(&format!("the mayor has ended: {halt}"));
                        break;
                    }
                    delivered => delivered?,
                },
            }
            found = self.receipt(&text, (sent_at, before), Instant::now() + limit / DELIVERIES).await?;
            if found.is_some() {
                break;
            }
        }
        let Some(Proof { what: proof, whole }) = found else {
            if self.is_builtin("mayor") || self.lost_delivery(0).is_some() {
                return Err(lost(limit, self.town()?.screen().await));
            }
            return self.unproven(&text, limit);
        };
        delivery.received_at = Some(self.rec.now());
        (delivery.proof, delivery.whole) = (Some(proof.clone()), whole);
        self.rec.record.delivery = Some(delivery);
        self.rec.note("receipt", format!("the mayor has the prompt: {proof}"), BTreeMap::new())?;
        let size = format!("{:.1} kB", text.len() as f64 / 1000.0);
        Ok(Done::new(format!("{size}, received ({proof})")).fact("bytes", text.len().to_string()).fact("proof", proof))
    }

    /// Whether the mayor is a program of somebody's own, and is gone: then nobody can be told anything, and that is its doing.
    async fn has_own_mayor_ended(&self) -> bool {
        let Ok(town) = self.town() else { return false };
        let state = if self.is_builtin("mayor") { None } else { town.observe().await.ok() };
        state.is_some_and(|state| {
            let lives = state.sessions.iter().filter(|session| session.role == "mayor");
            lives.max_by_key(|session| session.started_at).is_some_and(|last| last.exit.is_some())
        })
    }

    /// A program of somebody's own may take the prompt without a word, and go on to do what it asks. What comes of it is its doing.
    fn unproven(&mut self, text: &str, limit: Duration) -> Result<Done, Halt> {
        let told = format!("nothing shows within {} s that the mayor received it", limit.as_secs_f64());
        self.rec.note("receipt", told.clone(), BTreeMap::new())?;
        let size = format!("{:.1} kB", text.len() as f64 / 1000.0);
        Ok(Done::new(format!("{size}, {told}")).fact("bytes", text.len().to_string()).fact("proof", "none"))
    }

    /// The name of the planned fault that lets this delivery of the prompt be lost.
    fn lost_delivery(&self, delivery: u32) -> Option<String> {
        let mut faults = self.request.scenario.spec.fault.iter().filter(|fault| fault.kind == FaultKind::Nudge);
        faults.find(|fault| fault.times == 0 || delivery < fault.times).map(|fault| fault.name.clone())
    }

    fn prompt(&self) -> Result<String, Halt> {
        let folder = self.root()?.join("origins");
        let origins = self.origins.clone().unwrap_or_else(|| file_url(&folder));
        Ok(self.request.scenario.prompt.replace("{{origins}}", &origins))
    }
}

/// Writes a file that may be there already, without a new one in its place: the town's fence lets that very file be read.
fn write_in_place(file: &Path, value: &impl serde::Serialize) -> Result<(), Halt> {
    let text = serde_json::to_string(value).map_err(|error| Halt::harness(error.to_string()))?;
    fs::write(file, text).map_err(|error| Halt::io("write", file, &error))
}

/// Whether the town has the servers that planned faults are for.
fn can_be_hit(faults: &[Fault], town: TownKind, servers: &[&str]) -> Result<(), Halt> {
    let struck = faults.iter().filter(|fault| matches!(fault.kind, FaultKind::Kill | FaultKind::Freeze));
    let mut missing = struck.filter_map(|fault| Some((fault, fault.program.as_deref()?)));
    let Some((fault, program)) = missing.find(|(_, program)| !servers.contains(program)) else { return Ok(()) };
    let known = if servers.is_empty() { "none".to_owned() } else { servers.join(", ") };
    let message = format!("the fault `{}` is for `{program}`, which the town `{}` does not have", fault.name, town.word());
    Err(Halt::environment(message).hint(format!("servers of this town that a fault can hit: {known}")))
}

/// A program that somebody named to play the mayor and that does not start is no defect of Proctor.
fn not_started(halt: Halt, program: &str) -> Halt {
    if [BUILTIN, OWN_PROGRAM].contains(&program) || halt.kind != StopKind::Harness {
        return halt;
    }
    Halt::environment(format!("`{program}` does not play the mayor: {}", halt.message))
        .hint("see evidence/transcripts/ for what it printed; docs/agents.md says what a program must do")
}

fn lost(limit: Duration, screen: Option<String>) -> Halt {
    let shown = screen.map(|screen| format!("; its terminal shows:\n{}", screen.trim_end())).unwrap_or_default();
    let message = format!(
        "the prompt was typed {DELIVERIES} times, but nothing shows within {} s that the mayor received it{shown}",
        limit.as_secs_f64()
    );
    Halt::harness(message)
        .hint("see evidence/transcripts/ for what the mayor's terminal showed; a slow program needs a longer `timeouts.receipt`")
}

/// `:40213` of `http://127.0.0.1:40213/v1/logs`.
fn port(url: &str) -> String {
    let host = url.split("//").nth(1).unwrap_or(url).split('/').next().unwrap_or(url);
    host.rsplit_once(':').map_or_else(|| one_line(url), |(_, port)| format!(":{port}"))
}
