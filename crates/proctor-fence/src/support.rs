//! What this kernel offers of a fence, and what is open without the rest.

use serde::{Deserialize, Serialize};

use crate::sys;

/// What this kernel and this user have of a fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// Version of Landlock; 0 when the kernel has none or it is switched off.
    pub landlock: u32,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
    /// Whether refused calls can be observed.
    pub observation: bool,
    /// Whether mount and IPC namespaces can be had, with all that is made in them.
    pub namespaces: bool,
    /// Whether those need a user namespace: they do for whoever is not root.
    pub user_namespace: bool,
    /// What there is not, in the order of weight.
    pub missing: Vec<Missing>,
}

/// Something that a fence is made of and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// A short name: `landlock`, `landlock-network`, `landlock-scopes`, `landlock-truncate`, `landlock-devices`, `seccomp`,
    /// `observation`, `namespaces`; of a started program also `pid-namespace`.
    pub what: String,
    /// Why it is not there: what the system says.
    pub why: String,
    /// What this leaves open, as a sentence.
    pub open: String,
}

impl Missing {
    pub(crate) fn new(what: &str, why: impl Into<String>, open: &str) -> Self {
        Self { what: what.into(), why: why.into(), open: open.into() }
    }
}

impl Support {
    /// Whether signals and abstract sockets stay inside (ABI 6).
    pub fn scopes(&self) -> bool {
        self.landlock >= 6
    }

    /// Whether TCP ports are limited (ABI 4).
    pub fn tcp(&self) -> bool {
        self.landlock >= 4
    }

    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }
}

const NO_FILES: &str = "Agents can read and change every file of this user.";
const NO_TRUNCATE: &str = "Agents can empty files of this user that they cannot write otherwise.";
const NO_NETWORK: &str = "Agents can connect to every TCP port.";
const NO_DEVICES: &str = "Agents can control devices that they can open.";
const NO_SCOPES: &str = "Agents can signal every process of this user and connect to abstract sockets.";
pub(crate) const NO_SECCOMP: &str =
    "Agents can trace processes, change their limits and priorities, send datagrams and connect past the list of ports.";
pub(crate) const NO_OBSERVATION: &str = "What is refused is not recorded.";
pub(crate) const NO_PROCESSES: &str = "Programs see the processes outside, and what outlives them may go on.";
pub(crate) const NO_NAMESPACES: &str =
    "Agents can change modes, owners and times of this user's files and connect to this user's sockets, and they share /tmp.";

/// What each version of Landlock brought.
const LANDLOCK: [(u32, &str, &str); 4] = [
    (3, "landlock-truncate", NO_TRUNCATE),
    (4, "landlock-network", NO_NETWORK),
    (5, "landlock-devices", NO_DEVICES),
    (6, "landlock-scopes", NO_SCOPES),
];

/// What this kernel has not of Landlock.
pub(crate) fn lacking_of_landlock() -> Vec<Missing> {
    let version = sys::landlock_abi();
    let none = version.as_ref().err().map(|error| Missing::new("landlock", error.to_string(), NO_FILES));
    let (version, had) = match version {
        Ok(version) => (version, format!("version {version} of Landlock")),
        Err(_) => (0, "no Landlock".to_owned()),
    };
    let newer = LANDLOCK.iter().filter(|(since, ..)| version < *since);
    let newer =
        newer.map(|(since, what, open)| Missing::new(what, format!("the kernel has {had}, version {since} is needed"), open));
    none.into_iter().chain(newer).collect()
}

/// Tries what this kernel offers. It takes a few milliseconds: keep the answer.
pub fn support() -> Support {
    let mut missing = lacking_of_landlock();
    let landlock = sys::landlock_abi().unwrap_or_default();
    let seccomp = sys::knows_action(libc::SECCOMP_RET_ERRNO);
    if !seccomp {
        missing.push(Missing::new("seccomp", "the kernel filters no system calls", NO_SECCOMP));
    }
    let observation = sys::knows_action(libc::SECCOMP_RET_USER_NOTIF);
    if !observation {
        missing.push(Missing::new("observation", "the kernel has no user notification of seccomp", NO_OBSERVATION));
    }
    let (namespaces, user_namespace) = namespaces(&mut missing);
    Support { landlock, seccomp, observation, namespaces, user_namespace, missing }
}

/// Whether namespaces can be had, and whether in a user namespace.
fn namespaces(missing: &mut Vec<Missing>) -> (bool, bool) {
    let mut why = String::new();
    for (user, flags) in NAMESPACES {
        match sys::try_namespaces(flags) {
            Ok(tried) if tried == sys::Tried::default() => return (true, user),
            Ok(tried) => {
                let error = if tried.namespaces == 0 { tried.mounts } else { tried.namespaces };
                why = std::io::Error::from_raw_os_error(error).to_string();
            }
            Err(error) => why = error.to_string(),
        }
    }
    missing.push(Missing::new("namespaces", why, NO_NAMESPACES));
    (false, false)
}

/// What is unshared, without and with a user namespace around it, in the order in which it is tried.
pub(crate) const NAMESPACES: [(bool, libc::c_int); 2] =
    [(false, libc::CLONE_NEWNS | libc::CLONE_NEWIPC), (true, libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWIPC)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_what_is_said_not_to_be_there() {
        let support = support();
        let missing: Vec<&str> = support.missing.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(missing.contains(&"landlock-network"), !support.tcp(), "{support:?}");
        assert_eq!(missing.contains(&"landlock-scopes"), !support.scopes(), "{support:?}");
        assert_eq!(missing.contains(&"namespaces"), !support.namespaces, "{support:?}");
        assert!(support.missing.iter().all(|one| one.open.ends_with('.') && !one.why.is_empty()), "{support:?}");
    }
}
