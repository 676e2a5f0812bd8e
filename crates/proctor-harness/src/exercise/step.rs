//! Runs one step of an exercise and records what happened: exit code, streams, files, opened files, facts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proctor_judge::evidence::{FenceGap, FileState, Refusal, StepRecord, Time};

use super::place::Place;
use super::strays;
use crate::fence::refusals;
use crate::halt::Halt;
use crate::linux::{self, Opens};
use crate::process::{Ended, Program};
use crate::scenario::Step;
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

/// A step that can be run: its command line with real paths.
struct Ready {
    by: &'static str,
    /// As the step sees it.
    script: PathBuf,
    args: Vec<String>,
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

/// Why a step cannot be run: what it runs is not there, or cannot be given its arguments.
pub(super) type Missing = String;

impl Place {
    fn ready(&self, step: &Step, facts: &BTreeMap<String, String>) -> Result<Ready, Missing> {
        let (by, script, args) = match (&step.checker, &step.subject) {
            (Some(command), _) => ("checker", command.first().map(|name| self.seen.checks.join(name)), command.get(1..)),
            (None, Some(command)) => {
                let (rig, script) = (command.first(), command.get(1));
                let path = rig.zip(script).map(|(rig, script)| self.real.repos.join(rig).join(script));
                if let (Some(path), Some(rig), Some(script)) = (&path, rig, script)
                    && !path.is_file()
                {
                    return Err(format!("{script} is not on main of {rig}"));
                }
                let path = rig.zip(script).map(|(rig, script)| self.seen.repos.join(rig).join(script));
                ("subject", path, command.get(2..))
            }
            (None, None) => ("checker", None, None),
        };
        let script = script.ok_or_else(|| format!("the step {} has no command", step.name))?;
        let args = args.unwrap_or(&[]).iter().map(|arg| fill(arg, facts)).collect();
        Ok(Ready { by, script, args })
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
            ended => ended.map_err(|error| Halt::environment(format!("{} cannot be started: {error}", self.python.display())))?,
        };
        self.is_fenced(&ended)?;
        let (opened, opened_lost) =
            opens.take().map_err(|error| Halt::environment(format!("opened files cannot be read: {error}")))?;
        let opened = opened.iter().filter(|path| self.is_watched(path)).map(|path| shown(path)).collect();
        let left_behind = self.left_behind(&ended, since).await?;
        let (refused, open) = (refusals::read(&self.root().join(REFUSED)), self.open(&ended));
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

    /// A step whose fence could not be set up did not run at all.
    fn is_fenced(&self, ended: &Ended) -> Result<(), Halt> {
        // Whoever was ended by force wrote nothing.
        if self.bench.is_none() || ended.fence.is_some() || ended.code != Some(FENCE_REFUSED) {
            return Ok(());
        }
        let said = ended.said();
        match said.strip_prefix(FENCE_SAYS) {
            Some(why) => Err(Halt::environment(format!("a step cannot be run inside its fence: {why}")).hint("proctor doctor")),
            None => Ok(()),
        }
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
        let isolated: &[&str] = if is_checker { &["-I", "-B", "-u", "-c", CHECKER] } else { &[] };
        let mut program = Program::new(&self.python, isolated).env(&self.env).cwd(&self.real.work).timeout(limit);
        if is_checker {
            program.args.push(self.seen.checks.display().to_string());
        }
        program.args.push(ready.script.display().to_string());
        program.args.extend(ready.args.clone());
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
            command: self.shown_command(ready),
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

    /// The command line without this machine's paths, so that the same run gives the same evidence anywhere.
    fn shown_command(&self, ready: &Ready) -> Vec<String> {
        let script = ready.script.display().to_string();
        let script = script
            .replace(&self.seen.repos.display().to_string(), "$REPO")
            .replace(&self.seen.checks.display().to_string(), "$CHECKS");
        ["$PYTHON".to_owned(), script].into_iter().chain(ready.args.iter().cloned()).collect()
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
