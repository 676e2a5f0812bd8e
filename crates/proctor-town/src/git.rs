//! Git, run as a program with an environment of its own.
//!
//! A worker's git ([`Git::new`]) runs with the worker's rights and credentials. The daemon's ([`Git::of_daemon`]) runs in
//! repositories that no agent can write, and nothing that an agent committed or set up has any say in it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::caller::Caller;
use crate::credentials;
use crate::error::{Result, TownError, refused_hint};

/// What a repository's or a person's settings could let the daemon's git start, read or follow.
const GUARDS: [(&str, &str); 10] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    // The empty tree: some versions read the attributes of a bare repository from its head.
    ("attr.tree", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
    ("core.excludesFile", "/dev/null"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("protocol.ext.allow", "never"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
];

/// Where and as whom git runs.
pub(crate) struct Git<'a> {
    caller: &'a Caller,
    dir: &'a Path,
    name: &'a str,
    guarded: bool,
}

impl<'a> Git<'a> {
    /// Git in `dir`, committing as `name`, with the caller's credentials.
    pub(crate) fn new(caller: &'a Caller, dir: &'a Path, name: &'a str) -> Self {
        Self { caller, dir, name, guarded: false }
    }

    /// The daemon's own git in `dir`, committing as `name`.
    pub(crate) fn of_daemon(caller: &'a Caller, dir: &'a Path, name: &'a str) -> Self {
        Self { caller, dir, name, guarded: true }
    }

    /// Runs git and gives its standard output without the last newline.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let output = self.output(args, &[])?;
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(failed(args, &output))
    }

    /// Runs git on some input and gives its standard output as it is.
    pub(crate) fn bytes<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<Vec<u8>> {
        let output = self.output(args, input)?;
        if output.status.success() { Ok(output.stdout) } else { Err(failed(args, &output)) }
    }

    /// Runs git and gives what it printed, and whether it succeeded; [`None`] when it neither succeeded nor exited with 1.
    pub(crate) fn verdict<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<(bool, String)> {
        let output = self.output(args, &[])?;
        match output.status.code() {
            Some(code @ (0 | 1)) => Ok((code == 0, text(&output.stdout))),
            _ => Err(failed(args, &output)),
        }
    }

    /// Whether git succeeds.
    pub(crate) fn holds<S: AsRef<OsStr>>(&self, args: &[S]) -> bool {
        self.run(args).is_ok()
    }

    fn output<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<Output> {
        let here = || TownError::io(Path::new("git"));
        let mut command = self.command(args);
        if input.is_empty() {
            return command.output().map_err(here());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(here())?;
        // What is written is at most a commit, and git reads all of it before it prints.
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
        let output = child.wait_with_output().map_err(here())?;
        written.map_err(here())?;
        Ok(output)
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
        let mut settings = credentials::of(self.caller);
        if self.guarded {
            command.env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_ATTR_NOSYSTEM", "1");
            credentials::retain_headers(&mut settings);
            settings.extend(GUARDS.map(|(key, value)| (key.to_string(), value.to_string())));
        }
        command.envs(credentials::variables(&settings));
        command
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\n').to_string()
}

fn failed<S: AsRef<OsStr>>(args: &[S], output: &Output) -> TownError {
    let shown: Vec<String> = args.iter().map(|arg| arg.as_ref().to_string_lossy().into_owned()).collect();
    let mut stderr = String::from_utf8_lossy(&output.stderr).trim().to_string();
    if stderr.is_empty() {
        stderr = String::from_utf8_lossy(&output.stdout).trim().to_string();
    }
    TownError::Git { args: shown.join(" "), stderr }
}

/// The mail address an agent commits with.
pub(crate) fn email(agent: &str) -> String {
    format!("{}@gastown.local", agent.replace('/', "."))
}

/// Whether a text can be the name of a branch, and cannot be taken for anything else.
pub(crate) fn is_branch(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"~^:?*[\\".contains(c);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    (1..=200).contains(&name.len())
        && name.chars().all(plain)
        && name.split('/').all(part)
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && name != "@"
        && name != "HEAD"
}

/// Whether a text is the full id of an object.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where a commit that was handed in is kept until it is merged: whatever becomes of its branch, it is there.
pub(crate) fn submitted_ref(commit: &str) -> String {
    format!("refs/submitted/{commit}")
}

/// Fetches a target branch, and a branch that is said to be at `commit`; refused when the origin says otherwise and does not
/// have the commit on the target already.
pub(crate) fn fetch_submitted(git: &Git<'_>, target: &str, branch: &str, commit: &str) -> Result<()> {
    let kept = submitted_ref(commit);
    let target_spec = format!("+refs/heads/{target}:refs/remotes/origin/{target}");
    let both = ["fetch", "--quiet", "--no-tags", "origin", &target_spec, &format!("+refs/heads/{branch}:{kept}")];
    let there = match git.run(&both) {
        Ok(_) => git.run(&["rev-parse", "--verify", "--quiet", &kept])?,
        Err(_) => {
            git.run(&both[..5])?;
            "nowhere".to_string()
        }
    };
    let merged = || git.holds(&["merge-base", "--is-ancestor", commit, &format!("refs/remotes/origin/{target}")]);
    if there == commit || merged() {
        return Ok(());
    }
    let _ = git.run(&["update-ref", "-d", &kept]);
    refused_hint(
        format!("{commit} was handed in, but the origin has {branch} at {there}"),
        "push it to your rig's origin, then run `gt done` again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_could_misread_are_no_branches() {
        for name in ["main", "polecat/furiosa/al-k3x@1", "a.b", "ümlaut"] {
            assert!(is_branch(name), "{name}");
        }
        for name in
            ["", "-f", "a b", "a..b", "a:b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "@", "HEAD", "a@{1}", "a\nb", "a*"]
        {
            assert!(!is_branch(name), "{name}");
        }
    }

    #[test]
    fn a_commit_is_named_in_full() {
        assert!(is_commit(&"a".repeat(40)) && is_commit(&"0".repeat(64)));
        assert!(!is_commit("HEAD") && !is_commit(&"A".repeat(40)) && !is_commit("--all"));
    }
}
