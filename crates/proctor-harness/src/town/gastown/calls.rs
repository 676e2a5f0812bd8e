//! Calls of the town's programs by the harness: each in the town's environment, each written down with its time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use proctor_judge::evidence::{StopKind, Time};
use proctor_judge::seal::SealedKind;
use serde::Serialize;

use crate::cycle::Clock;
use crate::halt::Halt;
use crate::keeper::Keeper;
use crate::ledger::{Ledger, Log};
use crate::process::{Ended, Program};

/// The file in `evidence/raw` with all calls.
pub(super) const COMMANDS: &str = "commands.ndjson";
/// How long a call may take that does nothing special; `gt` takes ten times as long on a busy machine.
pub(super) const CALL: Duration = Duration::from_secs(120);
/// How long a call may take that makes much.
pub(super) const LONG_CALL: Duration = Duration::from_secs(300);
/// What a shell does before it becomes the program: everything that the town makes is the user's own.
const PRIVATELY: &str = "umask 077; exec \"$@\"";
/// The same for a town whose owner decides that.
const AS_IT_IS: &str = "exec \"$@\"";

/// One call, as it is written down.
#[derive(Debug, Serialize)]
struct Call<'a> {
    at: Time,
    wall_s: f64,
    command: &'a [String],
    cwd: &'a Path,
    how: String,
    /// What it said when it did not exit with 0, else what it warned of.
    #[serde(skip_serializing_if = "String::is_empty")]
    said: String,
}

/// Makes calls.
pub(super) struct Calls {
    bin: PathBuf,
    town: PathBuf,
    base: PathBuf,
    shell: &'static str,
    env: RwLock<BTreeMap<String, String>>,
    keeper: OnceLock<Keeper>,
    log: PathBuf,
    /// Absent until the first call.
    written: Mutex<Option<Log>>,
    ledger: Ledger,
    clock: Clock,
}

impl Calls {
    /// Calls of the programs in `base/bin`, written down in `raw`.
    pub(super) fn new(base: &Path, env: BTreeMap<String, String>, raw: &Path, ledger: Ledger, clock: Clock) -> Self {
        Self {
            bin: base.join("bin"),
            town: base.join("town"),
            base: base.to_owned(),
            shell: PRIVATELY,
            env: RwLock::new(env),
            keeper: OnceLock::new(),
            log: raw.join(COMMANDS),
            written: Mutex::default(),
            ledger,
            clock,
        }
    }

    /// The same calls in a town that lies elsewhere and makes its files as its owner's shell does.
    pub(super) fn in_town(self, town: &Path) -> Self {
        Self { town: town.to_owned(), shell: AS_IT_IS, ..self }
    }

    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        self.env.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add_environment(&self, more: BTreeMap<String, String>) {
        self.env.write().unwrap_or_else(PoisonError::into_inner).extend(more);
    }

    /// From now on this keeper makes the calls.
    pub(super) fn enter(&self, keeper: Keeper) {
        // It is entered once, before anything of the town is there.
        _ = self.keeper.set(keeper);
    }

    /// A call in the town's root, or in the base directory while there is no town.
    pub(super) fn program(&self, name: &str, args: &[&str]) -> Program {
        let cwd = if self.town.join("mayor").is_dir() { &self.town } else { &self.base };
        let program = self.bin.join(name).display().to_string();
        let mut all = vec!["-c", self.shell, "sh", &program];
        all.extend(args);
        let program = Program::new("/bin/sh", &all).env(&self.environment()).cwd(cwd).timeout(CALL);
        match self.keeper.get() {
            Some(keeper) => program.kept(keeper),
            None => program,
        }
    }

    /// Makes a call and writes it down.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) async fn run(&self, program: Program) -> Result<Ended, Halt> {
        let at = (self.clock)();
        let command: Vec<String> = program.args.get(3..).unwrap_or(&[]).to_vec();
        let cwd = program.cwd.clone().unwrap_or_default();
        let what = named(&command);
        let ended = program.run().await.map_err(|error| Halt::harness(format!("`{what}` cannot be started: {error}")))?;
        let said = if ended.ok() { warnings(&ended) } else { ended.said() };
        self.write_down(&Call {
            at,
            wall_s: ended.duration.as_secs_f64(),
            command: &command,
            cwd: &cwd,
            how: ended.how(),
            said,
        })?;
        Ok(ended)
    }

    /// [`Calls::run`] of something that must exit with 0.
    ///
    /// # Errors
    /// When it does not.
    pub(super) async fn must(&self, program: Program) -> Result<Ended, Halt> {
        let what = named(program.args.get(3..).unwrap_or(&[]));
        let ended = self.run(program).await?;
        if ended.ok() {
            return Ok(ended);
        }
        let said = ended.said();
        let halt = Halt::harness(format!("`{what}` failed ({}): {said}", ended.how()));
        let full = said.contains("no space left") || said.contains("No space left") || said.contains("Read-only file system");
        Err(if full { Halt { kind: StopKind::Environment, ..halt } } else { halt })
    }

    pub(super) async fn gt(&self, args: &[&str]) -> Result<Ended, Halt> {
        self.must(self.program("gt", args)).await
    }

    fn write_down(&self, call: &Call<'_>) -> Result<(), Halt> {
        let mut line = serde_json::to_string(call).map_err(|error| Halt::harness(error.to_string()))?;
        line.push('\n');
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let log = match written.take() {
            Some(log) => log,
            None => self.ledger.log(&self.log, SealedKind::File)?,
        };
        written.insert(log).append(line.as_bytes()).map_err(|error| Halt::io("write", &self.log, &error))
    }
}

/// `gt mayor start` of a whole command.
fn named(command: &[String]) -> String {
    let program = command.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let rest = command.get(1..).unwrap_or(&[]).join(" ");
    format!("{program} {rest}").trim_end().to_owned()
}

/// Lines by which a call that exited with 0 says that something is amiss: `gt` goes on after many errors.
fn warnings(ended: &Ended) -> String {
    let text = format!("{}\n{}", ended.out(), String::from_utf8_lossy(&ended.stderr));
    let amiss = |line: &&str| ["⚠", "Warning:", "Error:", "could not"].iter().any(|sign| line.contains(sign));
    text.lines().map(str::trim).filter(amiss).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::Arc;

    fn calls(base: &Path) -> Calls {
        fs::create_dir_all(base.join("bin")).unwrap();
        symlink("/bin/sh", base.join("bin/gt")).unwrap();
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        Calls::new(base, env, base, Ledger::new(base), Arc::new(|| Time::UNIX_EPOCH))
    }

    #[tokio::test]
    async fn what_a_call_makes_is_the_users_own() {
        let base = tempfile::tempdir().unwrap();
        calls(base.path()).gt(&["-c", "mkdir made; echo x >made/file"]).await.unwrap();
        let mode = |name: &str| fs::metadata(base.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("made"), mode("made/file")), (0o700, 0o600));
    }

    #[tokio::test]
    async fn every_call_is_written_down_and_one_that_fails_says_what_it_said() {
        let base = tempfile::tempdir().unwrap();
        let calls = calls(base.path());
        calls.gt(&["-c", "true"]).await.unwrap();
        let halt = calls.gt(&["-c", "echo no such rig >&2; exit 3"]).await.unwrap_err();
        assert!(halt.message.contains("no such rig") && halt.message.contains("exit 3"), "{halt}");
        let log = fs::read_to_string(base.path().join(COMMANDS)).unwrap();
        let rows: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((&rows[0]["how"], &rows[1]["said"]), (&"exit 0".into(), &"no such rig".into()));
        assert!(rows[1]["command"][0].as_str().unwrap().ends_with("bin/gt"));
    }
}
