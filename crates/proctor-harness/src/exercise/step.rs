//! Runs one step of an exercise and records what happened: exit code, streams, files, opened files, facts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proctor_judge::evidence::{FileState, StepRecord, Time};
use walkdir::WalkDir;

use crate::digest::sha256;
use crate::halt::Halt;
use crate::linux::Opens;
use crate::process::{Ended, Program};
use crate::scenario::Step;

/// Bytes kept of each stream of a step.
pub const LIMIT: usize = 256 << 10;

/// Where one exercise runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The working directory.
    pub work: PathBuf,
    /// `HOME`.
    pub home: PathBuf,
    /// `TMPDIR`.
    pub tmp: PathBuf,
    /// The folder of clones, one per rig.
    pub repos: PathBuf,
    /// The scenario's `checks/`.
    pub checks: PathBuf,
    /// The interpreter.
    pub python: PathBuf,
    /// Patterns of files whose opening is recorded.
    pub watch: Vec<String>,
    /// The environment of every step.
    pub env: BTreeMap<String, String>,
}

/// A step that can be run: its command line with real paths.
struct Ready {
    by: &'static str,
    script: PathBuf,
    args: Vec<String>,
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

/// Why a step cannot be run: what it runs is not there.
pub type Missing = String;

impl Place {
    fn ready(&self, step: &Step, facts: &BTreeMap<String, String>) -> Result<Ready, Missing> {
        let (by, script, args) = match (&step.checker, &step.subject) {
            (Some(command), _) => ("checker", command.first().map(|name| self.checks.join(name)), command.get(1..)),
            (None, Some(command)) => {
                let (rig, script) = (command.first(), command.get(1));
                let path = rig.zip(script).map(|(rig, script)| self.repos.join(rig).join(script));
                if let (Some(path), Some(rig), Some(script)) = (&path, rig, script)
                    && !path.is_file()
                {
                    return Err(format!("{script} is not on main of {rig}"));
                }
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
    pub async fn run(
        &self,
        step: &Step,
        limit: Duration,
        facts: &BTreeMap<String, String>,
        now: Time,
    ) -> Result<Result<StepRecord, Missing>, Halt> {
        let ready = match self.ready(step, facts) {
            Ok(ready) => ready,
            Err(missing) => return Ok(Err(missing)),
        };
        let before = self.files();
        let opens = Opens::watch(&self.work).map_err(|error| {
            Halt::environment(format!("opened files cannot be watched: {error}")).hint("raise fs.inotify.max_user_instances")
        })?;
        let ended = self.program(&ready, limit).run().await;
        let ended = ended.map_err(|error| Halt::environment(format!("{} cannot be started: {error}", self.python.display())))?;
        let (opened, _) = opens.take().map_err(|error| Halt::environment(format!("opened files cannot be read: {error}")))?;
        let watched = |path: &&PathBuf| {
            path.file_name().is_some_and(|name| self.watch.iter().any(|pattern| matches(pattern, &name.to_string_lossy())))
        };
        let opened = opened.iter().filter(watched).map(|path| path.display().to_string()).collect();
        Ok(Ok(self.record(step, &ready, &ended, limit, &before, opened, now)))
    }

    fn program(&self, ready: &Ready, limit: Duration) -> Program {
        let mut program = Program::new(&self.python, &[]).env(&self.env).cwd(&self.work).timeout(limit);
        program.args.push(ready.script.display().to_string());
        program.args.extend(ready.args.clone());
        program.env.insert("HOME".into(), self.home.display().to_string());
        program.env.insert("TMPDIR".into(), self.tmp.display().to_string());
        program.limit = LIMIT;
        program.end_group = true;
        program
    }

    #[allow(clippy::too_many_arguments, reason = "everything that a step's record is made of, once")]
    fn record(
        &self,
        step: &Step,
        ready: &Ready,
        ended: &Ended,
        limit: Duration,
        before: &BTreeMap<String, String>,
        opened: Vec<String>,
        now: Time,
    ) -> StepRecord {
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
            command: self.shown(ready),
            exit: ended.code,
            ended: how,
            stdout,
            stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
            cut: ended.cut,
            started_at: now,
            duration_ms: ended.duration.as_secs_f64() * 1000.0,
            files: self.states(before),
            opened,
            facts,
        }
    }

    /// The command line without this machine's paths, so that the same run gives the same evidence anywhere.
    fn shown(&self, ready: &Ready) -> Vec<String> {
        let script = ready.script.display().to_string();
        let script =
            script.replace(&self.repos.display().to_string(), "$REPO").replace(&self.checks.display().to_string(), "$CHECKS");
        ["$PYTHON".to_owned(), script].into_iter().chain(ready.args.iter().cloned()).collect()
    }

    /// Hashes of the files in the working directory, by relative path.
    fn files(&self) -> BTreeMap<String, String> {
        let files = WalkDir::new(&self.work).sort_by_file_name().into_iter().flatten().filter(|e| e.file_type().is_file());
        files.filter_map(|e| Some((self.relative(e.path()), sha256(&fs::read(e.path()).ok()?)))).collect()
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.work).unwrap_or(path).display().to_string()
    }

    fn states(&self, before: &BTreeMap<String, String>) -> Vec<FileState> {
        let state = |(path, sha256): (String, String)| FileState {
            size: fs::metadata(self.work.join(&path)).map_or(0, |m| m.len()),
            changed: before.get(&path) != Some(&sha256),
            path,
            sha256,
        };
        self.files().into_iter().map(state).collect()
    }
}

/// Replaces `${NAME}` by the fact of that name; an unknown one stays as it is.
pub fn fill(text: &str, facts: &BTreeMap<String, String>) -> String {
    facts.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

/// The `fact NAME=VALUE` lines of a checker's standard output.
pub fn stated_facts(stdout: &str) -> BTreeMap<String, String> {
    let pairs = stdout.lines().filter_map(|line| line.strip_prefix("fact ")?.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
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
}
