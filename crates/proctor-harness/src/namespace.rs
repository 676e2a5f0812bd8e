//! A PID namespace of a run's own: whatever acts in it sees, and can end, only what the run itself started.
//!
//! A process cannot move into a new PID namespace, only its children can. So the edge starts Proctor again below `unshare` of
//! util-linux, as the first process of the namespace: when that one ends, the kernel ends everything else in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::halt::Halt;
use crate::linux;
use crate::process::Program;

/// Which processes a run shares with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// All that the system has.
    #[default]
    Shared,
    /// None but those that it starts. The process outside that waits for it stands for the run there.
    Own(Holder),
    /// All, although a namespace was asked for: why there is none.
    Refused(String),
}

impl Namespace {
    /// The process by which everybody else knows the run.
    pub fn holder(&self) -> Holder {
        match self {
            Self::Own(holder) => *holder,
            Self::Shared | Self::Refused(_) => Holder::me(),
        }
    }

    /// Ends a run whose town would end processes of others.
    ///
    /// # Errors
    /// When the run shares its processes with others, with the reason.
    pub fn must_be_own(&self) -> Result<(), Halt> {
        const NEED: &str =
            "a town's daemon ends agents of other towns of the same user, so that it needs a PID namespace of its own";
        match self {
            Self::Own(_) => Ok(()),
            Self::Shared => Err(Halt::harness(format!("{NEED}; this run was started without one"))),
            Self::Refused(why) => Err(Halt::environment(format!("{NEED}, which this system does not grant: {why}")).hint(
                "run without the daemon (no --daemon, no `daemon = true`), or let the system grant one: as root, or with user namespaces \
                 (sysctl user.max_user_namespaces); `proctor doctor --town gastown` tries it",
            )),
        }
    }
}

/// A process by which a run is known: while it lives, the run is in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id, as its own namespace counts.
    pub pid: u32,
    /// When it began, in clock ticks since boot.
    pub started: u64,
}

impl Holder {
    /// This process.
    pub fn me() -> Self {
        let pid = std::process::id();
        Self { pid, started: linux::process(pid).map(|process| process.started).unwrap_or_default() }
    }
}

/// What the process outside tells the one inside by a variable of its environment: itself, and the namespace that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    holder: Holder,
    namespace: String,
}

impl Marker {
    /// The marker of this process.
    pub fn mine() -> Self {
        Self { holder: Holder::me(), namespace: own_namespace() }
    }

    /// As the variable holds it.
    pub fn text(&self) -> String {
        format!("{} {} {}", self.holder.pid, self.holder.started, self.namespace)
    }

    /// Who waits outside, when this process really is the first of a namespace that is not the one that `text` names. A variable
    /// that was only handed down proves nothing.
    pub fn holder_outside(text: &str) -> Option<Holder> {
        proven(text, std::process::id(), &own_namespace())
    }
}

fn proven(text: &str, me: u32, namespace: &str) -> Option<Holder> {
    let mut words = text.splitn(3, ' ');
    let (pid, started) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let outside = words.next().filter(|outside| !outside.is_empty())?;
    (me == 1 && outside != namespace && !namespace.is_empty()).then_some(Holder { pid, started })
}

/// The namespace of this process's children, as the system names it; empty when it has none.
fn own_namespace() -> String {
    fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default()
}

/// How long the question may take whether a namespace is granted.
const ASKING: Duration = Duration::from_secs(10);

/// The command that makes a namespace: its program, and the arguments before the command that is played in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// `unshare`.
    pub program: PathBuf,
    /// Its arguments, `--` last.
    pub args: Vec<&'static str>,
}

impl Maker {
    /// Finds the program on the user's `PATH` and tries it.
    ///
    /// # Errors
    /// Why the system grants no namespace, in the words of the program that was refused.
    pub async fn find(user: &BTreeMap<String, String>) -> Result<Self, String> {
        let path = user.get("PATH").map_or("/usr/bin:/bin", String::as_str);
        let program =
            linux::find_program("unshare", path).ok_or_else(|| format!("no `unshare` of util-linux was found in {path}"))?;
        let maker = Self { program, args: arguments(linux::user() == 0) };
        let tried = maker.command(&["true"]).env(user).timeout(ASKING).run().await;
        match tried {
            Ok(ended) if ended.ok() => Ok(maker),
            Ok(ended) => Err(format!("`{}` says ({}): {}", maker.shown(), ended.how(), ended.said())),
            Err(error) => Err(format!("`{}` cannot be started: {error}", maker.shown())),
        }
    }

    fn command(&self, command: &[&str]) -> Program {
        Program::new(&self.program, &[self.args.as_slice(), command].concat())
    }

    fn shown(&self) -> String {
        let words: Vec<&str> = self.args.iter().copied().filter(|word| *word != "--").collect();
        format!("unshare {}", words.join(" "))
    }
}

/// Root may make a PID namespace; anybody else needs a user namespace around it.
fn arguments(root: bool) -> Vec<&'static str> {
    let user: &[&str] = if root { &[] } else { &["--user", "--map-current-user"] };
    [user, &["--pid", "--fork", "--kill-child", "--mount-proc", "--"]].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_the_first_process_of_another_namespace_is_inside() {
        let outside = Holder { pid: 77, started: 1234 };
        let text = Marker { holder: outside, namespace: "pid:[1]".into() }.text();
        assert_eq!(proven(&text, 1, "pid:[2]"), Some(outside));
        assert_eq!(proven(&text, 1, "pid:[1]"), None, "the first process of a container that was handed the variable");
        assert_eq!(proven(&text, 80, "pid:[2]"), None, "a process of a namespace that is not its first");
        for broken in ["", "yes", "77", "77 x pid:[1]", "77 1234 ", "77 1234"] {
            assert_eq!(proven(broken, 1, "pid:[2]"), None, "{broken:?}");
        }
    }

    #[test]
    fn this_test_is_not_inside() {
        assert_eq!(Marker::holder_outside(&Marker::mine().text()), None);
    }

    #[test]
    fn a_run_that_shares_its_processes_gets_no_daemon() {
        let refused = Namespace::Refused("unshare says no".into()).must_be_own().unwrap_err();
        assert_eq!(refused.kind, proctor_judge::evidence::StopKind::Environment);
        assert!(refused.message.ends_with("unshare says no") && refused.hint.is_some(), "{refused}");
        assert!(Namespace::Shared.must_be_own().is_err());
        let holder = Holder { pid: 77, started: 1234 };
        assert!(Namespace::Own(holder).must_be_own().is_ok());
        assert_eq!(Namespace::Own(holder).holder(), holder, "outside, the run is known by who waits for it");
        assert_eq!(Namespace::Shared.holder(), Holder::me());
    }

    #[test]
    fn anybody_but_root_needs_a_user_namespace() {
        assert!(!arguments(true).contains(&"--user"));
        assert_eq!(arguments(false)[..2], ["--user", "--map-current-user"]);
    }

    #[tokio::test]
    async fn a_refusal_says_which_program_refused_and_why() {
        let empty = tempfile::tempdir().unwrap();
        let path = |folder: &std::path::Path| BTreeMap::from([("PATH".to_owned(), folder.display().to_string())]);
        let refused = Maker::find(&path(empty.path())).await.unwrap_err();
        assert!(refused.contains("no `unshare` of util-linux"), "{refused}");
        let unshare = empty.path().join("unshare");
        fs::write(&unshare, "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n").unwrap();
        fs::set_permissions(&unshare, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let refused = Maker::find(&path(empty.path())).await.unwrap_err();
        assert!(
            refused.contains("--pid") && refused.contains("exit 1") && refused.ends_with("Operation not permitted"),
            "{refused}"
        );
    }
}
