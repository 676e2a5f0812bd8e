//! The fence around one agent, inside that of its town: what `agent-launch` starts it in.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use proctor_fence::{Fence, Limits, Signals};
use proctor_judge::evidence::FenceMode;
use serde::{Deserialize, Serialize};

use super::{REFUSED, mode, own_folder, system};

/// What `agents.json` says of the agents' fences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentFence {
    /// How they are enforced.
    pub mode: FenceMode,
    /// Whether each agent has a home, a temporary folder and a worktree of its own; else they share the town's.
    pub private: bool,
    /// Whether origins are folders that they push into; else these are nobody's but Proctor's.
    #[serde(default)]
    pub folders: bool,
    /// What they read besides what every program needs.
    pub read: Vec<PathBuf>,
    /// What they write to besides: the temporary folder of a run whose town shares it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<PathBuf>,
    /// Where they connect to.
    pub connect: Vec<u16>,
    /// What each process may take.
    pub limits: Limits,
}

/// How an agent is started: its fence, its folders, and the variables that name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fenced {
    /// The fence.
    pub fence: Fence,
    /// Folders to make before.
    pub folders: Vec<PathBuf>,
    /// The settings of git to copy into the agent's home: from where to where.
    pub git: Option<(PathBuf, PathBuf)>,
    /// Variables that replace those of the town.
    pub env: BTreeMap<String, String>,
}

/// What an agent of a town with shared folders writes to.
const SHARED: [&str; 4] = ["town", "home", "tmp", "rt"];

/// Origins that are folders, which agents push into.
const ORIGINS: &str = "origins";

/// The socket of the built-in town's daemon, which `gt` and `bd` connect to.
const DAEMON_SOCKET: &str = "town/daemon/daemon.sock";

/// How the agent with this environment is started.
pub fn of(base: &Path, own: &AgentFence, env: &BTreeMap<String, String>) -> Fenced {
    let agent = env.get("GT_ROLE").map_or("", String::as_str);
    let below = |name: &str| base.join(name);
    let mut read: Vec<PathBuf> = system().collect();
    read.extend([below("bin"), below("scenario")]);
    read.extend(own.read.iter().cloned());
    let name = agent.replace('/', "+");
    let fence = Fence {
        mode: mode(own.mode),
        read,
        write: own.write.clone(),
        connect: own.connect.clone(),
        limits: own.limits.clone(),
        refusals: Some(below(REFUSED).join(format!("{name}.ndjson"))),
        agent: Some(agent.to_owned()),
        ..Fence::default()
    };
    let origins = own.folders.then(|| below(ORIGINS));
    if own.private { private(base, agent, env, origins, fence) } else { shared(base, origins, fence) }
}

fn shared(base: &Path, origins: Option<PathBuf>, fence: Fence) -> Fenced {
    let write = SHARED.iter().map(|name| base.join(name)).chain(origins).chain(fence.write).collect();
    // `gt` ends sessions of others from the terminal of an agent.
    let fence = Fence { write, signals: Signals::Open, ..fence };
    Fenced { fence, folders: Vec::new(), git: None, env: BTreeMap::new() }
}

fn private(base: &Path, agent: &str, env: &BTreeMap<String, String>, origins: Option<PathBuf>, fence: Fence) -> Fenced {
    let folder = own_folder(base, agent);
    let (home, tmp, rt) = (folder.join("home"), folder.join("tmp"), folder.join("rt"));
    // Nothing is written to a socket's file: it is what the kernel asks for who connects to it.
    let socket = Some(base.join(DAEMON_SOCKET)).filter(|socket| socket.exists());
    let own = [home.clone(), tmp.clone(), rt.clone()].into_iter().chain(worktree(base, env)).chain(socket);
    let write = own.chain(origins).chain(fence.write).collect();
    let text = |path: &Path| path.display().to_string();
    let below = |name: &str| text(&home.join(name));
    let env = [
        ("HOME", text(&home)),
        ("GT_HOME", text(&home)),
        ("XDG_CONFIG_HOME", below(".config")),
        ("XDG_CACHE_HOME", below(".cache")),
        ("XDG_DATA_HOME", below(".local/share")),
        ("XDG_STATE_HOME", below(".local/state")),
        ("XDG_RUNTIME_DIR", text(&rt)),
        ("TMPDIR", text(&tmp)),
        ("CLAUDE_CODE_TMPDIR", text(&tmp)),
    ];
    Fenced {
        fence: Fence { write, ..fence },
        git: Some((base.join("home/.gitconfig"), home.join(".gitconfig"))),
        folders: vec![home, tmp, rt],
        env: env.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

/// Where an agent works: the folder of a worker's own, else the mayor's.
fn worktree(base: &Path, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let town = base.join("town");
    let named = env.get("GT_POLECAT_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    match named {
        // The clone lies in a folder of the worker's own.
        Some(path) => path.parent().map(Path::to_owned).filter(|own| own.starts_with(&town) && *own != town && is_plain(own)),
        None => Some(town.join("mayor")),
    }
}

/// Whether a path leads nowhere but down.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| !matches!(part, Component::ParentDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn own(private: bool) -> AgentFence {
        let read = vec![PathBuf::from("/opt/agent")];
        AgentFence {
            mode: FenceMode::On,
            private,
            folders: false,
            read,
            write: Vec::new(),
            connect: vec![1, 2],
            limits: Limits::default(),
        }
    }

    #[test]
    fn a_worker_writes_to_its_own_folders_only() {
        let worker = env(&[("GT_ROLE", "alice/polecats/nux"), ("GT_POLECAT_PATH", "/b/town/alice/polecats/nux/alice")]);
        let fenced = of(Path::new("/b"), &own(true), &worker);
        let written: Vec<String> = fenced.fence.write.iter().map(|path| path.display().to_string()).collect();
        let folder = "/b/agents/alice+polecats+nux";
        let expected =
            [&format!("{folder}/home"), &format!("{folder}/tmp"), &format!("{folder}/rt"), "/b/town/alice/polecats/nux"];
        assert_eq!(written, expected.map(|path| path as &str));
        assert!(fenced.fence.read.iter().all(|path| !path.starts_with("/b/town") && !path.ends_with("agents.json")));
        assert_eq!(fenced.env["HOME"], format!("{folder}/home"));
        assert_eq!(fenced.fence.agent.as_deref(), Some("alice/polecats/nux"));
    }

    #[test]
    fn only_origins_that_are_folders_are_written_by_agents() {
        let worker = env(&[("GT_ROLE", "alice/polecats/nux")]);
        for private in [true, false] {
            let written = |folders| of(Path::new("/b"), &AgentFence { folders, ..own(private) }, &worker).fence.write;
            assert!(written(true).contains(&PathBuf::from("/b/origins")));
            assert!(!written(false).contains(&PathBuf::from("/b/origins")));
        }
    }

    #[test]
    fn what_else_agents_write_to_is_theirs_wherever_their_folders_lie() {
        let worker = env(&[("GT_ROLE", "alice/polecats/nux")]);
        for private in [true, false] {
            let besides = AgentFence { write: vec!["/tmp".into()], ..own(private) };
            assert!(of(Path::new("/b"), &besides, &worker).fence.write.contains(&PathBuf::from("/tmp")), "private: {private}");
        }
    }

    #[test]
    fn no_worktree_opens_more_than_a_folder_of_the_towns() {
        let of = |path: &str| of(Path::new("/b"), &own(true), &env(&[("GT_ROLE", "x"), ("GT_POLECAT_PATH", path)])).fence.write;
        for path in ["/b/town/alice", "/b/town", "/b", "/", "/etc/passwd", "alice", "/b/town/x/../../y/z"] {
            let found = of(path);
            assert!(found.iter().all(|path| path.starts_with("/b/agents/x")), "{path}: {found:?}");
        }
    }

    #[test]
    fn where_folders_are_shared_an_agent_still_does_not_reach_what_the_run_knows_of_it() {
        let fenced = of(Path::new("/b"), &own(false), &env(&[("GT_ROLE", "mayor")]));
        assert!(fenced.env.is_empty() && fenced.folders.is_empty());
        let all: Vec<&PathBuf> = fenced.fence.write.iter().chain(&fenced.fence.read).collect();
        for name in ["agents.json", "sessions.ndjson", "refused", ""] {
            assert!(!all.contains(&&Path::new("/b").join(name)), "{name}");
        }
    }
}
