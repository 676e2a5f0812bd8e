//! Where a command runs: in the town's daemon, for whoever typed it, or here when no daemon runs and the store can be opened.
//!
//! `docs/builtin-town.md` says why: an agent cannot open the store, and the daemon knows an agent by its process.

use std::fs::OpenOptions;
use std::io::Cursor;
use std::path::Path;

use crate::Output;
use crate::args::Verb;
use crate::daemon::client;
use crate::daemon::note_lost;
use crate::daemon::order::{Answer, LONGEST, Order, VARIABLES};
use crate::error::{Result, TownError, refused};
use crate::gt::{self, HandIn, Step};
use crate::invocation::Invocation;
use crate::town;

/// What never runs in the daemon: making a town, and starting and ending the daemon itself.
const HERE: [&str; 8] = ["install", "version", "daemon run", "daemon start", "daemon stop", "daemon status", "down", "shutdown"];

/// What a harness asks all the time. Whoever can open the store reads it without the daemon, which may be frozen or gone.
const READINGS: [&str; 5] = ["snapshot", "sessions", "agents", "agents list", "convoy list"];

/// Whether the daemon runs this command for others.
pub(crate) fn forwarded(verb: &str) -> bool {
    !HERE.contains(&verb)
}

/// Runs a command where it belongs.
pub(crate) fn run(program: &str, verb: &Verb, words: &[String], call: &mut Invocation) -> Result<Output> {
    if !forwarded(verb.path) {
        return (verb.run)(call);
    }
    let Some(root) = town::find(&call.caller) else { return (verb.run)(call) };
    if READINGS.contains(&verb.path) && can_open(&root) {
        note_lost(&root, &call.caller)?;
        return (verb.run)(call);
    }
    if program == "gt" && verb.path == "done" {
        return gt::hand_in(call, &mut |call, hand_in| step(&root, words, call, hand_in));
    }
    match ask(&root, program, words, call, None)? {
        Some(answer) => told(call, answer).map(|(output, _)| output),
        None => {
            without_daemon(&root, call)?;
            (verb.run)(call)
        }
    }
}

/// One step of `gt done`, in the daemon or here.
fn step(root: &Path, words: &[String], call: &mut Invocation, hand_in: Option<HandIn>) -> Result<Step> {
    if let Some(answer) = ask(root, "gt", words, call, hand_in.clone())? {
        let (output, work) = told(call, answer)?;
        return Ok(work.map_or(Step::Over(output), Step::Work));
    }
    without_daemon(root, call)?;
    call.hand_in = hand_in;
    gt::done_step(call)
}

/// A daemon that was killed is told of by whoever finds it gone; without one, only who can open the store goes on.
fn without_daemon(root: &Path, call: &Invocation) -> Result<()> {
    if !can_open(root) && root.join(town::STORE).is_file() {
        return Err(TownError::Daemon("not running".to_string()));
    }
    note_lost(root, &call.caller)
}

fn can_open(root: &Path) -> bool {
    OpenOptions::new().read(true).write(true).open(root.join(town::STORE)).is_ok()
}

fn ask(root: &Path, program: &str, words: &[String], call: &mut Invocation, hand_in: Option<HandIn>) -> Result<Option<Answer>> {
    let file = call.body_file()?;
    let input = if call.args.has("stdin") { Some(call.keep_stdin()?) } else { None };
    let size = |text: &Option<String>| text.as_ref().map_or(0, String::len) as u64;
    if size(&file) + size(&input) > LONGEST / 2 {
        return refused(format!("the text is longer than {} MiB", LONGEST >> 21));
    }
    let caller = &call.caller;
    let order = Order {
        program: program.to_string(),
        args: words.to_vec(),
        env: VARIABLES.iter().filter_map(|name| Some(((*name).to_string(), caller.env.get(*name)?.clone()))).collect(),
        cwd: caller.cwd.clone(),
        input,
        file,
        hand_in,
        logs: caller.telemetry.wants_logs(),
        metrics: caller.telemetry.wants_metrics(),
    };
    client::run(root, order)
}

/// Sends what the command told, and gives its output or its failure.
fn told(call: &Invocation, answer: Answer) -> Result<(Output, Option<gt::Work>)> {
    answer.told.into_iter().for_each(|emission| call.caller.telemetry.take(emission));
    match answer.failed {
        Some((message, hint)) => Err(TownError::Refused { message, hint }),
        None => Ok((Output { stdout: answer.stdout, stderr: answer.stderr, code: answer.code }, answer.work)),
    }
}

impl Invocation {
    /// Reads standard input and keeps it, so that the command can read it again when it runs here after all.
    fn keep_stdin(&mut self) -> Result<String> {
        let text = self.read_stdin()?;
        self.set_stdin(Box::new(Cursor::new(text.clone().into_bytes())));
        Ok(text)
    }
}
