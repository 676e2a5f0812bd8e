//! What a run's record says of its fence: what this kernel enforces, and what is open.

use proctor_fence::Support;
use proctor_judge::evidence::{FenceGap, FenceMode, FenceRecord};

use crate::namespace::Namespace;
use crate::scenario::Spec;

/// How a run is to be fenced, and what there is of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// What was asked for.
    pub(crate) mode: FenceMode,
    /// The scenario, with its limits.
    pub(crate) spec: &'a Spec,
    /// Which processes the run shares with others.
    pub(crate) namespace: &'a Namespace,
    /// Whether the town was there before and belongs to somebody.
    pub(crate) is_live: bool,
    /// Whether each agent has a home and a worktree of its own.
    pub(crate) is_private: bool,
}

/// The record.
pub(crate) fn record(wanted: Wanted<'_>, support: &Support) -> FenceRecord {
    let Wanted { mode, is_live, .. } = wanted;
    if is_live && mode != FenceMode::Off {
        let enforced = if mode == FenceMode::On { vec![STEPS.to_owned()] } else { Vec::new() };
        return FenceRecord { mode: FenceMode::Off, enforced, missing: vec![live_town()] };
    }
    match mode {
        FenceMode::Off => FenceRecord { mode, enforced: Vec::new(), missing: vec![asked_for(mode)] },
        FenceMode::Warn => FenceRecord { mode, enforced: Vec::new(), missing: vec![asked_for(mode)] },
        FenceMode::On => FenceRecord { mode, enforced: enforced(wanted, support), missing: missing(wanted, support) },
    }
}

fn gap(what: &str, why: &str, open: &str) -> FenceGap {
    FenceGap { what: what.to_owned(), why: why.to_owned(), open: open.to_owned() }
}

const NOTHING: &str = "Agents can read and change every file of this user, among them the run's evidence and the tokens of other agents, \
                       connect to every port and signal every process.";

fn live_town() -> FenceGap {
    gap("live-town", "a town that was there before is started and owned by somebody else", OF_A_LIVE_TOWN)
}

/// What a run in somebody's own town still fences.
const STEPS: &str = "Each step of an exercise runs in a fence of its own; the town and its agents run in none.";

const OF_A_LIVE_TOWN: &str = "Agents can read and change every file of this user, among them the origins and the run's evidence, connect to every \
                              port and signal every process. Who pushed, and whose a record is, is taken at their word.";

fn asked_for(mode: FenceMode) -> FenceGap {
    gap("fence", &format!("--fence {} was asked for", mode.word()), NOTHING)
}

fn missing(wanted: Wanted<'_>, support: &Support) -> Vec<FenceGap> {
    let mut gaps: Vec<FenceGap> = support.missing.iter().map(|missing| gap(&missing.what, &missing.why, &missing.open)).collect();
    match wanted.namespace {
        Namespace::Own(_) => {}
        Namespace::Refused(why) => gaps.push(gap("pid-namespace", why, SHARED)),
        Namespace::Shared => gaps.push(gap("pid-namespace", "this run was started without one", SHARED)),
    }
    if !wanted.is_private {
        gaps.push(gap(
            "per-agent",
            "the agents of this town share its folders",
            "Agents of the run can change each other's worktrees and the town's own state, end each other, and have the town's terminal server start \
             programs, even in each other's names.",
        ));
    }
    gaps
}

const SHARED: &str = "Agents see the processes of this user.";

fn enforced(wanted: Wanted<'_>, support: &Support) -> Vec<String> {
    let limits = &wanted.spec.limits;
    let mut sentences = Vec::new();
    let mut add = |holds: bool, sentence: String| {
        if holds {
            sentences.push(sentence);
        }
    };
    let where_they_write = if wanted.is_private {
        "Agents write only to a home, a temporary folder and a worktree of their own"
    } else {
        "Agents write only to the town of this run, its home and its temporary folder"
    };
    add(
        support.landlock > 0,
        format!("{where_they_write}, and read only what programs need (Landlock, version {}).", support.landlock),
    );
    add(support.tcp(), format!("Agents connect only to the run's own TCP ports{}.", allowed(wanted.spec)));
    add(support.scopes(), "Agents signal nobody and reach no abstract socket outside the fence.".to_owned());
    add(
        support.seccomp,
        "Agents have no capabilities, and system calls that reach other processes are refused (seccomp).".to_owned(),
    );
    add(
        support.namespaces,
        "Agents have a /tmp of their own, and everything they may not write to is mounted read-only (namespaces).".to_owned(),
    );
    add(matches!(wanted.namespace, Namespace::Own(_)), "Agents see only processes of this run (PID namespace).".to_owned());
    add(
        true,
        format!(
            "A process of agents may take {} of memory, {} of processor time and {} open files, and write files of {}; an agent may have \
             {} processes.",
            limits.memory, limits.cpu_time, limits.open_files, limits.file_size, limits.processes
        ),
    );
    sentences
}

fn allowed(spec: &Spec) -> String {
    let ports: Vec<String> = spec.network.allow.iter().map(|port| port.0.to_string()).collect();
    if ports.is_empty() { String::new() } else { format!(" and to those that the scenario allows: {}", ports.join(", ")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::namespace::Holder;
    use proctor_fence::Missing;

    fn support(landlock: u32, missing: &[&str]) -> Support {
        let missing = missing.iter().map(|what| Missing {
            what: (*what).into(),
            why: "no".into(),
            open: format!("Without {what} something is open."),
        });
        Support {
            landlock,
            seccomp: true,
            observation: true,
            namespaces: landlock > 0,
            user_namespace: false,
            missing: missing.collect(),
        }
    }

    fn spec() -> Spec {
        let text =
            "schema = 1\nname = \"t\"\ntitle = \"T\"\nconvoy = \"C\"\n[network]\nallow = [8080]\n[limits]\nmemory = \"1GiB\"\n";
        toml::from_str(text).unwrap()
    }

    fn of(mode: FenceMode, is_live: bool, support: &Support) -> FenceRecord {
        let (spec, namespace) = (spec(), Namespace::Own(Holder { pid: 7, started: 1 }));
        record(Wanted { mode, spec: &spec, namespace: &namespace, is_live, is_private: true }, support)
    }

    #[test]
    fn a_whole_fence_says_what_holds_and_that_nothing_is_open() {
        let record = of(FenceMode::On, false, &support(7, &[]));
        assert!(record.missing.is_empty() && !record.is_open(), "{record:?}");
        let all = record.enforced.join(" ");
        for word in ["Landlock, version 7", "8080", "PID namespace", "1GiB of memory", "seccomp", "/tmp of their own"] {
            assert!(all.contains(word), "{word} in {all}");
        }
    }

    #[test]
    fn what_the_kernel_lacks_is_not_said_to_hold() {
        let record = of(FenceMode::On, false, &support(3, &["landlock-network", "landlock-scopes"]));
        assert_eq!(record.missing.len(), 2);
        assert!(record.enforced.iter().all(|sentence| !sentence.contains("TCP") && !sentence.contains("signal")));
        assert!(!record.is_open());
        assert!(of(FenceMode::On, false, &support(0, &["landlock"])).is_open());
    }

    #[test]
    fn without_a_fence_the_record_says_who_wanted_it_so() {
        for (mode, is_live, what) in
            [(FenceMode::Off, false, "fence"), (FenceMode::Warn, false, "fence"), (FenceMode::On, true, "live-town")]
        {
            let record = of(mode, is_live, &support(7, &[]));
            assert_eq!((record.missing[0].what.as_str(), record.is_open()), (what, true));
            let fenced = if is_live { vec![STEPS.to_owned()] } else { Vec::new() };
            assert_eq!(record.enforced, fenced, "of a live town the exercises are fenced all the same");
        }
    }
}
