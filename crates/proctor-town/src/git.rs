//! Git, run as a program with an environment of its own: nothing of the caller's but PATH, HOME and temporary folder.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::caller::Caller;
use crate::error::{Result, TownError};

/// Where and as whom git runs.
pub(crate) struct Git<'a> {
    caller: &'a Caller,
    dir: &'a Path,
    name: &'a str,
}

impl<'a> Git<'a> {
    /// Git in `dir`, committing as `name`.
    pub(crate) fn new(caller: &'a Caller, dir: &'a Path, name: &'a str) -> Self {
        Self { caller, dir, name }
    }

    /// Runs git and gives its standard output without the last newline.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let output = self.command(args).output().map_err(TownError::io(Path::new("git")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_string());
        }
        let shown: Vec<String> = args.iter().map(|arg| arg.as_ref().to_string_lossy().into_owned()).collect();
        let mut stderr = String::from_utf8_lossy(&output.stderr).trim().to_string();
        if stderr.is_empty() {
            stderr = String::from_utf8_lossy(&output.stdout).trim().to_string();
        }
        Err(TownError::Git { args: shown.join(" "), stderr })
    }

    /// Whether git succeeds.
    pub(crate) fn holds<S: AsRef<OsStr>>(&self, args: &[S]) -> bool {
        self.run(args).is_ok()
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().current_dir(self.dir).args(args).stdin(Stdio::null());
        for name in ["PATH", "HOME", "TMPDIR", "XDG_CONFIG_HOME"] {
            if let Some(value) = self.caller.var(name) {
                command.env(name, value);
            }
        }
        let email = email(self.name);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0").env("LANG", "C.UTF-8");
        command.env("GIT_EDITOR", "true");
        command.env("GIT_AUTHOR_NAME", self.name).env("GIT_AUTHOR_EMAIL", &email);
        command.env("GIT_COMMITTER_NAME", self.name).env("GIT_COMMITTER_EMAIL", &email);
        command
    }
}

/// The mail address an agent commits with.
pub(crate) fn email(agent: &str) -> String {
    format!("{}@gastown.local", agent.replace('/', "."))
}
