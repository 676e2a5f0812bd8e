//! Starting a session: a program in a pseudo-terminal, entered in the store before it is made.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use serde_json::{Value, json};

use super::identity::Agent;
use super::life::{Life, Readiness};
use super::{Daemon, locked};
use crate::agents::Birth;
use crate::caller::Caller;
use crate::error::{Result, TownError, refused, refused_hint};
use crate::launch::Launch;
use crate::processes;
use crate::settings::{self, Preset};
use crate::telemetry::{record, status};

/// How long the mayor may take until it shows its prompt. One that lives and shows none by then is taken to listen all the same.
const MAYOR_READY: Duration = Duration::from_secs(10);

/// How long a sling waits for a worker's first output. A silent worker is taken to be at work.
const WORKER_READY: Duration = Duration::from_secs(2);

/// The size agents see; wide, so that programs do not wrap what they print.
const SIZE: PtySize = PtySize { rows: 50, cols: 200, pixel_width: 0, pixel_height: 0 };

/// A started program with both ends of its terminal's life.
struct Started {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    pid: u32,
}

impl Daemon {
    /// Starts a session; answers when it is ready, has ended well, or (workers) has been given time enough.
    pub(crate) fn start(self: &Arc<Self>, launch: &Launch) -> Result<Value> {
        if self.life(&launch.session).is_some() {
            return refused(format!("session {} is already running", launch.session));
        }
        let rig = launch.rig.as_deref();
        let preset = settings::resolve(&self.root, &launch.role, rig, launch.explicit.as_deref())?;
        let run_id = (self.caller.run_ids)();
        let birth = self.birth(launch, &preset, &run_id);
        let started = self.begin(launch, &preset, &birth);
        self.report(launch, &preset, &run_id, &started);
        let life = started?;
        let limit = if launch.role == "mayor" { MAYOR_READY } else { WORKER_READY };
        match (life.wait_ready(limit, launch.role == "mayor"), launch.role.as_str()) {
            (Readiness::Failed(exit), _) => refused_hint(
                format!("session {} died during startup ({exit}){}", launch.session, life.last_line()),
                format!("what it printed: {}", self.root.join(&life.transcript).display()),
            ),
            (Readiness::TimedOut, "mayor") => {
                self.log(&format!("session {} shows no prompt: texts are typed at once", launch.session));
                life.give_up_prompt();
                Ok(json!({ "session": launch.session, "pid": life.pid, "run_id": run_id }))
            }
            _ => Ok(json!({ "session": launch.session, "pid": life.pid, "run_id": run_id })),
        }
    }

    fn birth(&self, launch: &Launch, preset: &Preset, run_id: &str) -> Birth {
        let minute = (self.caller.clock)().format("%Y-%m-%dT%H:%M").to_string();
        let mut command = vec![preset.command.clone()];
        command.extend(preset.args.clone());
        command.push(launch.beacon(&minute));
        let program = Path::new(&preset.command).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Birth {
            session: launch.session.clone(),
            run_id: run_id.to_string(),
            agent: launch.agent.clone(),
            role: launch.role.clone(),
            rig: launch.rig.clone(),
            command,
            issue: launch.issue.clone(),
            branch: launch.branch.clone(),
            program,
        }
    }

    fn begin(self: &Arc<Self>, launch: &Launch, preset: &Preset, birth: &Birth) -> Result<Arc<Life>> {
        let mut town = self.town()?;
        let (n, transcript) = town.change_as("daemon", "gt", |change| change.begin_session(birth))?;
        let started = match self.spawn_known(launch, preset, birth) {
            Ok(started) => started,
            Err(error) => {
                town.change_as("daemon", "gt", |change| change.end_session(n, "could not be started", &json!([])))?;
                return Err(error);
            }
        };
        town.change_as("daemon", "gt", |change| change.set_pid(n, birth, started.pid))?;
        self.log(&format!("session {} started (PID {}): {}", birth.session, started.pid, preset.command));
        let Started { child, master, pid } = started;
        let life = Life::new(self, n, birth, pid, transcript, &preset.tmux.ready_prompt_prefix, master.as_ref())?;
        locked(&self.lives).insert(birth.session.clone(), Arc::clone(&life));
        life.watch(self, child, master)?;
        Ok(life)
    }

    /// Starts the program while nobody is recognised, so that its first process is known before it can ask anything.
    fn spawn_known(&self, launch: &Launch, preset: &Preset, birth: &Birth) -> Result<Started> {
        let mut roots = locked(&self.roots);
        let started = self.spawn(launch, preset, birth)?;
        let (agent, session, run_id) = (birth.agent.clone(), birth.session.clone(), birth.run_id.clone());
        roots.enter(started.pid, Agent { agent, session, run_id });
        Ok(started)
    }

    fn spawn(&self, launch: &Launch, preset: &Preset, birth: &Birth) -> Result<Started> {
        let failed = |what: &str, error: &dyn std::fmt::Display| TownError::Refused {
            message: format!("{what} {}: {error:#}", preset.command),
            hint: Some(format!("agent {:?} in settings/config.json", preset.name)),
        };
        let pair = native_pty_system().openpty(SIZE).map_err(|error| failed("no pseudo-terminal for", &error))?;
        let mut command = CommandBuilder::new(&birth.command[0]);
        command.args(&birth.command[1..]);
        command.env_clear();
        let beacon = birth.command.last().map_or("", String::as_str);
        for (key, value) in launch.environment(&self.root, &self.caller.env, preset, &birth.run_id, beacon) {
            command.env(key, value);
        }
        command.cwd(&launch.dir);
        let child = pair.slave.spawn_command(command).map_err(|error| failed("cannot start", &error))?;
        let Some(pid) = child.process_id() else { return refused("the started program has no process id") };
        Ok(Started { child, master: pair.master, pid })
    }

    fn report(&self, launch: &Launch, preset: &Preset, run_id: &str, started: &Result<Arc<Life>>) {
        let text = started.as_ref().err().map(ToString::to_string);
        let outcome = text.as_deref().map_or(Ok(()), Err);
        let caller = &self.caller;
        if outcome.is_ok() {
            self.instantiated(launch, preset, run_id);
        }
        if launch.role == "mayor" {
            let event = record("session.start").of_run(run_id).with("session_id", launch.session.clone());
            caller.emit(event.with("role", launch.role.clone()).ended(outcome));
            let labels = [KeyValue::new("status", status(&outcome)), KeyValue::new("role", launch.role.clone())];
            caller.count("gastown.session.starts.total", &labels);
        }
    }

    fn instantiated(&self, launch: &Launch, preset: &Preset, run_id: &str) {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let event = record("agent.instantiate")
            .of_run(run_id)
            .with("instance", instance(&self.caller, &self.root))
            .with("town_root", self.root.display().to_string())
            .with("agent_type", preset.name.clone())
            .with("role", launch.role.clone())
            .with("agent_name", launch.name().to_string())
            .with("session_id", launch.session.clone())
            .with("rig", text(&launch.rig))
            .with("issue_id", text(&launch.issue))
            .with("git_branch", text(&launch.branch))
            .with("git_commit", text(&launch.commit));
        self.caller.emit(event);
        let labels = [
            KeyValue::new("agent_type", preset.name.clone()),
            KeyValue::new("role", launch.role.clone()),
            KeyValue::new("rig", text(&launch.rig)),
        ];
        self.caller.count("gastown.agent.instantiations.total", &labels);
    }
}

/// `host:town`, as the attribute `instance` has it.
fn instance(caller: &Caller, root: &Path) -> String {
    let host = caller.var("HOSTNAME").map(str::to_string);
    let host = host.unwrap_or_else(processes::host_name);
    format!("{host}:{}", root.file_name().unwrap_or_default().to_string_lossy())
}
