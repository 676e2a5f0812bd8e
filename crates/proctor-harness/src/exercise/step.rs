//! Runs one step of an exercise and records what happened: exit code, streams, files, opened files, facts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proctor_judge::evidence::{FenceGap, FileState, NOT_STARTED, Refusal, Skipped, StepRecord, Time};

use super::place::Place;
use super::strays;
use crate::fence::refusals;
use crate::halt::Halt;
use crate::linux::{self, Opens};
use crate::process::{Ended, Program};
use crate::scenario::Step;
use crate::scenario::spec::{PYTHON, REPO};
use crate::untrusted::{self, Listing, shown};

/// Bytes kept of each stream of a step.
pub const LIMIT: usize = 256 << 10;

/// How often the kernel's list of opened files is taken while a step runs.
const DRAIN: Duration = Duration::from_millis(20);

/// Runs a checker in Python's isolated mode, in which a script's own folder is not searched: it is added alone, so that a checker finds
/// its neighbours and nothing that a deliverable put into the working directory or into `HOME`.
const CHECKER: &str = "import runpy, sys; sys.path.insert(0, sys.argv[1]); sys.argv[:] = sys.argv[2:]; runpy.run_path(sys.argv[0], run_name='__main__')";

/// In an exercise's folder, where no step sees it: the file in which the fence's parent reports, and the folder of what it refused.
const REPORT: &str = "fence.json";
const REFUSED: &str = "refused";
/// What is open to steps without a fence.
const NO_FENCE: &str = "Deliverables can read and change every file of this user.";
/// How `proctor-fence` ends, and how its message begins, when it cannot set up the fence.
const FENCE_REFUSED: i32 = 2;
const FENCE_SAYS: &str = "proctor-fence: ";
/// How the message goes on when the fence is there and the program is none that can be started.
const NO_PROGRAM: &str = "cannot start ";
/// How records show the interpreter.
const PYTHON_SHOWN: &str = "$PYTHON";

/// A step that can be run: its command line with the paths that it sees.
struct Ready {
    by: &'static str,
    program: PathBuf,
    args: Vec<String>,
    /// As records show it: without this machine's paths, so that the same run gives the same evidence anywhere.
    shown: Vec<String>,
}

/// What was seen of the files while a step ran.
struct Seen {
    before: Listing,
    after: Listing,
    opened: Vec<String>,
    opened_lost: bool,
    left_behind: Vec<String>,
    refused: Vec<Refusal>,
    open: Vec<FenceGap>,
}

/// Whether a file name matches a pattern in which `*` stands for any characters.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name
            .strip_prefix(head)
            .is_some_and(|tail| tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| matches(rest, &tail[at..]))),
    }
}

/// The record of a step with a command that could not be started.
pub(super) fn not_started(step: &Step, why: &Missing, now: Time) -> StepRecord {
    StepRecord {
        name: step.name.clone(),
        by: "subject".into(),
        command: Vec::new(),
        exit: None,
        ended: Some(format!("{NOT_STARTED}{why}")),
        stdout: String::new(),
        stderr: String::new(),
        cut: 0,
        started_at: now,
        duration_ms: 0.0,
        files: Vec::new(),
        skipped: Skipped::default(),
        opened: Vec::new(),
        opened_lost: false,
        facts: BTreeMap::new(),
        left_behind: Vec::new(),
        refused: Vec::new(),
        open: Vec::new(),
    }
}

fn refused_to_start(ready: &Ready, why: &str) -> Missing {
    format!("{} cannot be started: {why}", ready.shown.first().map_or("the program", String::as_str))
}

/// Why a step cannot be run: what it runs is not there, or cannot be given its arguments.
pub(super) type Missing = String;

impl Place {
    fn ready(&self, step: &Step, facts: &BTreeMap<String, String>) -> Result<Ready, Missing> {
        match (&step.checker, &step.subject, &step.command) {
            (Some(command), ..) => self.checker(command, facts),
            (None, Some(command), _) => self.script(command, facts),
            (None, None, Some(command)) => self.any(command, step.rig.as_deref().unwrap_or_default(), facts),
            (None, None, None) => Err(format!("the step {} has no command", step.name)),
        }
    }

    fn python(&self) -> Result<PathBuf, Missing> {
        self.python.clone().ok_or_else(|| "there is no Python".to_owned())
    }

    fn checker(&self, command: &[String], facts: &BTreeMap<String, String>) -> Result<Ready, Missing> {
        let (name, given) = command.split_first().ok_or("the checker is empty")?;
        let given = given.iter().map(|arg| fill(arg, facts));
        let checks = self.seen.checks.display().to_string();
        let mut args: Vec<String> = ["-I", "-B", "-u", "-c", CHECKER].map(str::to_owned).to_vec();
        args.extend([checks.clone(), format!("{checks}/{name}")]);
        let mut shown = vec![PYTHON_SHOWN.to_owned(), format!("$CHECKS/{name}")];
        shown.extend(given.clone());
        args.extend(given);
        Ok(Ready { by: "checker", program: self.python()?, args, shown })
    }

    fn script(&self, command: &[String], facts: &BTreeMap<String, String>) -> Result<Ready, Missing> {
        let [rig, script, given @ ..] = command else { return Err("the subject names no script".into()) };
        self.is_merged(rig, script, false)?;
        let given = given.iter().map(|arg| fill(arg, facts));
        let mut args = vec![self.seen.repos.join(rig).join(script).display().to_string()];
        let mut shown = vec![PYTHON_SHOWN.to_owned(), format!("$REPO/{rig}/{script}")];
        shown.extend(given.clone());
        args.extend(given);
        Ok(Ready { by: "subject", program: self.python()?, args, shown })
    }

    /// Any program: one of the runtime's, or one that was merged.
    fn any(&self, command: &[String], rig: &str, facts: &BTreeMap<String, String>) -> Result<Ready, Missing> {
        let (first, rest) = command.split_first().ok_or("the command is empty")?;
        let merged = |word: &String| word.strip_prefix(REPO).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
        if let Some(script) = command.iter().find_map(merged) {
            self.is_merged(rig, &script, merged(first).is_some())?;
        }
        let with = |repos: &str, word: &String| fill(&word.replace(REPO, &format!("{repos}/{rig}")), facts);
        let repos = self.seen.repos.display().to_string();
        let (program, name) = match self.programs.get(first) {
            Some(found) => (found.path.clone(), first.clone()),
            None if first == PYTHON => (self.python()?, PYTHON_SHOWN.to_owned()),
            None => (with(&repos, first).into(), with("$REPO", first)),
        };
        let args = rest.iter().map(|word| with(&repos, word)).collect();
        let shown = std::iter::once(name).chain(rest.iter().map(|word| with("$REPO", word))).collect();
        Ok(Ready { by: "subject", program, args, shown })
    }

    /// Whether a file of a deliverable is there, and can be executed where it must.
    fn is_merged(&self, rig: &str, file: &str, executed: bool) -> Result<(), Missing> {
        let path = self.real.repos.join(rig).join(file);
        match fs::metadata(&path) {
            Ok(data) if !data.is_file() => Err(format!("{file} is no file on main of {rig}")),
            Ok(data) if executed && data.permissions().mode() & 0o111 == 0 => {
                Err(format!("{file} is not executable on main of {rig}"))
            }
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{file} is not on main of {rig}")),
        }
    }

    /// Runs one step. `facts` are those stated by the steps before.
    ///
    /// # Errors
    /// Inner: what it would run is missing. Outer: the machine refuses.
    pub(super) async fn run(
        &mut self,
        step: &Step,
        limit: Duration,
        facts: &BTreeMap<String, String>,
        now: Time,
    ) -> Result<Result<StepRecord, Missing>, Halt> {
        let ready = match self.ready(step, facts) {
            Ok(ready) => ready,
            Err(missing) => return Ok(Err(missing)),
        };
        let before = self.refresh().await?;
        let since = linux::uptime();
        let mut opens = Opens::watch(&self.real.work, |path| self.is_watched(path)).map_err(|error| {
            Halt::environment(format!("opened files cannot be watched: {error}")).hint("raise fs.inotify.max_user_instances")
        })?;
        let ended = match run_and_drain(self.program(&ready, limit)?, &mut opens).await {
            // The arguments come from the scenario and from facts that a checker found in a deliverable's files.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong) => {
                return Ok(Err(format!(
                    "step `{}` was not run: its arguments cannot be passed to a program ({error})",
                    step.name
                )));
            }
            // A program that was merged may be none that this machine can start.
            Err(error) if step.command.is_some() => return Ok(Err(refused_to_start(&ready, &error.to_string()))),
            ended => {
                ended.map_err(|error| Halt::environment(format!("{} cannot be started: {error}", ready.program.display())))?
            }
        };
        if let Err(why) = self.is_fenced(&ended)? {
            return Ok(Err(refused_to_start(&ready, &why)));
        }
        let (opened, opened_lost) =
            opens.take().map_err(|error| Halt::environment(format!("opened files cannot be read: {error}")))?;
        let opened = opened.iter().filter(|path| self.is_watched(path)).map(|path| shown(path)).collect();
        let left_behind = self.left_behind(&ended, since).await?;
        let (refused, open) = (refusals::read(&self.root().join(REFUSED), &BTreeMap::new()), self.open(&ended));
        let seen = Seen { before, after: self.look().await?, opened, opened_lost, left_behind, refused, open };
        let record = self.record(step, &ready, &ended, limit, &seen, now);
        self.before = Some(seen.after);
        Ok(Ok(record))
    }

    /// What outlived the step, by the fence's parent and by where it stands.
    async fn left_behind(&self, ended: &Ended, since: f64) -> Result<Vec<String>, Halt> {
        let known = ended.fence.iter().flat_map(|fence| fence.leftovers.iter().map(|left| left.command.clone()));
        let mut left: Vec<String> = known.collect();
        let root = self.root();
        left.extend(untrusted::apart(move || strays::end(&root, since)).await?);
        Ok(left)
    }

    /// A step whose fence could not be set up did not run at all. Inner: the fence was there, but the program could not be started.
    fn is_fenced(&self, ended: &Ended) -> Result<Result<(), String>, Halt> {
        // Whoever was ended by force wrote nothing.
        if self.bench.is_none() || ended.fence.is_some() || ended.code != Some(FENCE_REFUSED) {
            return Ok(Ok(()));
        }
        let text = String::from_utf8_lossy(&ended.stderr);
        let Some(why) = text.lines().next().and_then(|line| line.strip_prefix(FENCE_SAYS)) else { return Ok(Ok(())) };
        if why.starts_with(NO_PROGRAM) {
            return Ok(Err(why.rsplit_once(": ").map_or(why, |(_, reason)| reason).to_owned()));
        }
        Err(Halt::environment(format!("a step cannot be run inside its fence: {why}")).hint("proctor doctor"))
    }

    /// What is open to a step: what the kernel did not give its fence, or all of it.
    fn open(&self, ended: &Ended) -> Vec<FenceGap> {
        let gap = |what: &str, why: &str, open: &str| FenceGap { what: what.into(), why: why.into(), open: open.into() };
        match (&self.bench, &ended.fence) {
            (None, _) => vec![gap("fence", "there was none", NO_FENCE)],
            (Some(_), fence) => {
                let missing = fence.iter().flat_map(|fence| &fence.missing);
                missing.map(|missing| gap(&missing.what, &missing.why, &missing.open)).collect()
            }
        }
    }

    /// The exercise's own folder.
    fn root(&self) -> PathBuf {
        self.real.work.parent().unwrap_or(&self.real.work).to_owned()
    }

    fn is_watched(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.watch.iter().any(|pattern| matches(pattern, &name.to_string_lossy())))
    }

    fn program(&self, ready: &Ready, limit: Duration) -> Result<Program, Halt> {
        let is_checker = ready.by == "checker";
        let mut program = Program::new(&ready.program, &[]).env(&self.env).cwd(&self.real.work).timeout(limit);
        program.args.clone_from(&ready.args);
        program.env.insert("HOME".into(), self.seen.home.display().to_string());
        program.env.insert("TMPDIR".into(), self.seen.tmp.display().to_string());
        program.limit = LIMIT;
        program.end_group = true;
        let Some(bench) = &self.bench else { return Ok(program) };
        let (report, refused) = (self.root().join(REPORT), self.root().join(REFUSED));
        for path in [&report, &refused] {
            untrusted::remove(path).map_err(|error| Halt::io("remove", path, &error))?;
        }
        fs::create_dir(&refused).map_err(|error| Halt::io("make", &refused, &error))?;
        let fence = bench.fence(&self.real, is_checker, refused.join("step.ndjson"));
        Ok(program.fenced(bench.fenced(fence, &self.real, report)))
    }

    fn record(&self, step: &Step, ready: &Ready, ended: &Ended, limit: Duration, seen: &Seen, now: Time) -> StepRecord {
        let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
        let how = match (ended.code, ended.signal) {
            (Some(_), _) => None,
            (None, Some(signal)) => Some(format!("signal {signal}")),
            (None, None) => Some(format!("time limit {} s", limit.as_secs_f64())),
        };
        let facts = if ready.by == "checker" { stated_facts(&stdout) } else { BTreeMap::new() };
        StepRecord {
            name: step.name.clone(),
            by: ready.by.into(),
            command: ready.shown.clone(),
            exit: ended.code,
            ended: how,
            stdout,
            stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
            cut: ended.cut,
            started_at: now,
            duration_ms: ended.duration.as_secs_f64() * 1000.0,
            files: states(&seen.before, &seen.after),
            skipped: seen.after.skipped.clone(),
            opened: seen.opened.clone(),
            opened_lost: seen.opened_lost,
            facts,
            left_behind: seen.left_behind.clone(),
            refused: seen.refused.clone(),
            open: seen.open.clone(),
        }
    }
}

/// Runs a program, and takes from the kernel's list of opened files meanwhile, which is too short for a step that opens thousands.
async fn run_and_drain(program: Program, opens: &mut Opens) -> io::Result<Ended> {
    let running = program.run();
    tokio::pin!(running);
    loop {
        tokio::select! {
            ended = &mut running => return ended,
            () = tokio::time::sleep(DRAIN) => opens.drain()?,
        }
    }
}

fn states(before: &Listing, after: &Listing) -> Vec<FileState> {
    let known: BTreeMap<&Path, &str> = before.files.iter().map(|file| (file.path.as_path(), file.sha256.as_str())).collect();
    let state = |file: &untrusted::Found| FileState {
        path: shown(&file.path),
        size: file.size,
        sha256: file.sha256.clone(),
        changed: known.get(file.path.as_path()) != Some(&file.sha256.as_str()),
    };
    after.files.iter().map(state).collect()
}

/// Replaces `${NAME}` by the fact of that name, once; an unknown one stays as it is.
pub fn fill(text: &str, facts: &BTreeMap<String, String>) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        match after.split_once('}').and_then(|(name, tail)| Some((facts.get(name)?, tail))) {
            Some((value, tail)) => {
                filled.push_str(value);
                rest = tail;
            }
            None => {
                filled.push_str("${");
                rest = after;
            }
        }
    }
    filled + rest
}

/// The `fact NAME=VALUE` lines of a checker's standard output. A name with two values is not stated: a checker that repeats what stands
/// in a deliverable's file may have been made to print the second.
pub fn stated_facts(stdout: &str) -> BTreeMap<String, String> {
    let pairs = stdout.lines().filter_map(|line| line.strip_prefix("fact ")?.split_once('='));
    let mut stated: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (name, value) in pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())) {
        let earlier = stated.entry(name).or_insert_with(|| Some(value.clone()));
        if earlier.as_ref() != Some(&value) {
            *earlier = None;
        }
    }
    stated.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_whole_names() {
        assert!(matches("*.pem", "bob_private.pem"));
        assert!(matches("*_private.*", "bob_private.pem"));
        assert!(!matches("*.pem", "bob.pem.bak"));
        assert!(matches("message.enc", "message.enc"));
    }

    #[test]
    fn facts_are_read_and_filled_in() {
        let facts = stated_facts("noise\nfact text=a=b \nfact size=3\n");
        assert_eq!(fill("--say ${text} ${size} ${other}", &facts), "--say a=b 3 ${other}");
    }

    #[test]
    fn a_fact_that_holds_the_name_of_another_is_no_way_to_it() {
        let facts = stated_facts("fact a=${b}\nfact b=secret\n");
        assert_eq!(fill("${a} ${ ${b}", &facts), "${b} ${ secret");
    }

    #[test]
    fn a_fact_with_two_values_is_not_stated() {
        let facts = stated_facts("fact text=wrong\nfact text=right\nfact size=3\nfact size=3\n");
        assert_eq!(facts.into_iter().collect::<Vec<_>>(), [("size".to_owned(), "3".to_owned())]);
    }
}
