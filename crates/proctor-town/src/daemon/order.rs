//! A command that the daemon runs for whoever typed it: what is handed over, and what comes back.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Daemon;
pub(crate) use super::door::LONGEST;
use super::identity::{Agent, Claim, Who};
use crate::args::{Asked, Parsed, Program, Verb};
use crate::caller::{Caller, short_address};
use crate::emission::{Emission, Outlet};
use crate::error::{Result, TownError, refused, refused_hint};
use crate::front;
use crate::gt::{HandIn, Work};
use crate::invocation::{self, Invocation};
use crate::launch::beginning;
use crate::telemetry::record;
use crate::{Output, bd, gt};

/// The variables of a caller that mean something to a command; nothing else of its environment is handed over.
pub(crate) const VARIABLES: [&str; 10] = [
    "GT_ROLE",
    "GT_RIG",
    "GT_POLECAT",
    "GT_SESSION",
    "GT_RUN",
    "BD_ACTOR",
    "BEADS_ACTOR",
    "GT_LOG_MAIL_BODY",
    "GT_LOG_PROMPT_KEYS",
    "GT_LOG_PRIME_CONTEXT",
];

/// Those of them that say who calls.
const IDENTITY: [&str; 7] = ["GT_ROLE", "GT_RIG", "GT_POLECAT", "GT_SESSION", "GT_RUN", "BD_ACTOR", "BEADS_ACTOR"];

/// What a worker may not do to the town, to others and to what they are measured by; its own work it ends by `gt done`.
const NOT_FOR_WORKERS: [&str; 10] = [
    "mayor start",
    "mayor stop",
    "mayor restart",
    "up",
    "polecat nuke",
    "mq reject",
    "rig add",
    "convoy create",
    "convoy add",
    "convoy close",
];

/// How much of a refused command line its event shows.
const SHOWN: usize = 200;

/// A command to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// `gt` or `bd`.
    pub(crate) program: String,
    /// Arguments after the program's name.
    pub(crate) args: Vec<String>,
    /// The caller's [`VARIABLES`].
    pub(crate) env: BTreeMap<String, String>,
    /// Its working directory.
    pub(crate) cwd: PathBuf,
    /// Its standard input, for a command that reads it.
    pub(crate) input: Option<String>,
    /// The text of `--body-file`, which only the caller may be able to read.
    pub(crate) file: Option<String>,
    /// What a worker's own git has pushed.
    pub(crate) hand_in: Option<HandIn>,
    /// Whether the caller exports logs.
    pub(crate) logs: bool,
    /// Whether it exports metrics.
    pub(crate) metrics: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// For standard output.
    pub(crate) stdout: String,
    /// For standard error.
    pub(crate) stderr: String,
    /// Exit code.
    pub(crate) code: u8,
    /// What went wrong, when something did: message and hint.
    pub(crate) failed: Option<(String, Option<String>)>,
    /// Events and measurements for the caller to send.
    pub(crate) told: Vec<Emission>,
    /// What a worker is to hand in.
    pub(crate) work: Option<Work>,
}

impl Answer {
    /// The answer to an order that is not run.
    pub(super) fn refusal(error: &TownError) -> Self {
        Self { failed: Some((error.to_string(), error.hint().map(str::to_string))), ..Self::default() }
    }
}

impl Daemon {
    /// Runs a command for `who`, whose process is `pid`.
    pub(super) fn run(self: &Arc<Self>, who: &Who, pid: u32, order: Order) -> Answer {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (logs, metrics) = (order.logs, order.metrics);
        let outlet = Outlet::Kept { told: Arc::clone(&told), logs, metrics };
        let mut answer = match self.carry_out(who, pid, order, outlet) {
            Ok((output, work)) => {
                let Output { stdout, stderr, code } = output;
                Answer { stdout, stderr, code, work, ..Answer::default() }
            }
            Err(error) => Answer::refusal(&error),
        };
        answer.told = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
        answer
    }

    fn carry_out(self: &Arc<Self>, who: &Who, pid: u32, order: Order, outlet: Outlet) -> Result<(Output, Option<Work>)> {
        let program = match order.program.as_str() {
            "gt" => &gt::PROGRAM,
            "bd" => &bd::PROGRAM,
            other => return refused(format!("{other:?} is no program of the town")),
        };
        let (verb, args) = match program.understand(&order.args)? {
            Asked::Verb(verb, args) => (verb, args),
            Asked::Help(text) => return Ok((invocation::say(text), None)),
        };
        let who = self.true_identity(who, &order);
        let caller = self.caller_of(&who, &order, outlet);
        if let Who::Agent(agent) = &who {
            self.refuse_claims(agent, &caller, pid, &order, &args)?;
            refuse_deeds(agent, program, verb)?;
        }
        if !front::forwarded(verb.path) {
            return refused(format!("{} {} is not run by the daemon", program.name, verb.path));
        }
        let input = Cursor::new(order.input.unwrap_or_default().into_bytes());
        let mut call = Invocation::new(caller, args, Box::new(input), order.file);
        call.hand_in = order.hand_in;
        let output = (verb.run)(&mut call)?;
        Ok((output, call.work))
    }

    /// A process that outlived its session stems from nobody any more; its own `GT_RUN` still names its agent.
    fn true_identity(&self, who: &Who, order: &Order) -> Who {
        let named = order.env.get("GT_RUN").and_then(|run| super::locked(&self.roots).of_run(run));
        match (who, named) {
            (Who::Operator, Some(agent)) => Who::Agent(agent),
            _ => who.clone(),
        }
    }

    /// The surroundings of the command: the daemon's own, the caller's options, and who it really is.
    fn caller_of(self: &Arc<Self>, who: &Who, order: &Order, telemetry: Outlet) -> Caller {
        let mut env = self.caller.env.clone();
        env.insert("GT_TOWN_ROOT".to_string(), self.root.display().to_string());
        let handed = VARIABLES.iter().filter(|name| *who == Who::Operator || !IDENTITY.contains(name));
        env.extend(handed.filter_map(|name| Some(((*name).to_string(), order.env.get(*name)?.clone()))));
        if let Who::Agent(agent) = who {
            let own = [
                ("GT_ROLE", &agent.agent),
                ("BD_ACTOR", &agent.agent),
                ("GT_SESSION", &agent.session),
                ("GT_RUN", &agent.run_id),
            ];
            env.extend(own.map(|(name, value)| (name.to_string(), value.clone())));
        }
        Caller { env, cwd: order.cwd.clone(), telemetry, daemon: Some(Arc::clone(self)), ..self.caller.clone() }
    }

    fn refuse_claims(&self, agent: &Agent, caller: &Caller, pid: u32, order: &Order, args: &Parsed) -> Result<()> {
        let actor = args.value("actor").filter(|name| !agent.is(name));
        let actor = actor.map(|name| Claim { claimed: name.to_string(), by: "--actor" });
        let Some(claim) = agent.claim(&order.env).or(actor) else { return Ok(()) };
        let line = format!("{} {}", order.program, order.args.join(" "));
        let command = beginning(&line, SHOWN);
        let claimed = beginning(&claim.claimed, SHOWN);
        caller.emit(record("identity.refused").with("claimed", claimed.to_string()).with("command", command.to_string()));
        let source = if order.program == "bd" { "bd" } else { "gt" };
        self.town()?.change_as(&agent.agent, source, |change| {
            let payload = json!({
                "agent": agent.agent, "session": agent.session, "claimed": claimed, "by": claim.by, "command": command, "pid": pid,
            });
            change.event("identity_refused", payload);
            Ok(())
        })?;
        let (by, me) = (claim.by, short_address(&agent.agent));
        refused_hint(
            format!("{by} says {claimed}, but this process belongs to {me} (session {})", agent.session),
            "act under your own name: an agent is known by its process, not by its environment",
        )
    }
}

fn refuse_deeds(agent: &Agent, program: &Program, verb: &Verb) -> Result<()> {
    if agent.agent.contains("/polecats/") && program.name == "gt" && NOT_FOR_WORKERS.contains(&verb.path) {
        let message = format!("polecats cannot run gt {} (you are {})", verb.path, short_address(&agent.agent));
        return refused_hint(message, "mail the mayor instead: gt mail send mayor/ -s ... -m ...");
    }
    Ok(())
}
