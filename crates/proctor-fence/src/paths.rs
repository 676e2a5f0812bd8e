//! Landlock: files, TCP ports, signals and abstract sockets.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};

use serde::{Deserialize, Serialize};

use crate::{Fence, FenceError, Signals};

/// Paths that only namespaces brought.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Own {
    /// What may be read.
    pub(crate) read: Vec<PathBuf>,
    /// What may be changed.
    pub(crate) write: Vec<PathBuf>,
    /// What looks empty, and may be looked at.
    pub(crate) hidden: Vec<PathBuf>,
}

/// The newest version that the crate knows; what the kernel lacks of it is left out.
const NEWEST: ABI = ABI::V10;

/// Where a system's list of name servers may really lie: `/etc/resolv.conf` is a link on many.
const RESOLVER: &str = "/etc/resolv.conf";

/// Restricts this process, and everything that it starts, to what the fence lists and what its namespaces brought.
pub(crate) fn restrict(fence: &Fence, own: &Own) -> Result<(), FenceError> {
    let failed = |error: landlock::RulesetError| FenceError::step("Landlock", error);
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    ruleset = ruleset.handle_access(AccessFs::from_all(NEWEST)).map_err(failed)?;
    ruleset = ruleset.handle_access(network(fence)).map_err(failed)?;
    ruleset = ruleset.scope(scopes(fence)).map_err(failed)?;
    let mut rules = ruleset.create().map_err(failed)?;
    for path in readable(fence).into_iter().chain(own.read.clone()).chain(own.hidden.clone()) {
        // What is not there cannot be read.
        if let Ok(opened) = PathFd::new(&path) {
            rules = allow(rules, opened, path.is_file(), AccessFs::from_read(NEWEST))?;
        }
    }
    for path in fence.write.iter().chain(&own.write) {
        let opened = PathFd::new(path).map_err(|error| unopened("write", path, &error))?;
        rules = allow(rules, opened, !path.is_dir(), AccessFs::from_all(NEWEST))?;
    }
    for path in fence.devices() {
        if let Ok(opened) = PathFd::new(&path) {
            let access = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev | AccessFs::ReadDir | AccessFs::Truncate;
            rules = allow(rules, opened, !path.is_dir(), access)?;
        }
    }
    for port in &fence.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).map_err(failed)?;
    }
    for port in &fence.bind {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp)).map_err(failed)?;
    }
    rules.restrict_self().map_err(failed).map(drop)
}

/// Whether all that must exist does, where nothing opens it.
pub(crate) fn are_there(fence: &Fence) -> Result<(), FenceError> {
    fence.write.iter().try_for_each(|path| path.metadata().map(drop).map_err(|error| unopened("write", path, &error)))
}

/// Datagrams are either limited to nothing or not at all.
fn network(fence: &Fence) -> landlock::BitFlags<AccessNet> {
    if fence.udp { AccessNet::BindTcp | AccessNet::ConnectTcp } else { AccessNet::from_all(NEWEST) }
}

fn scopes(fence: &Fence) -> landlock::BitFlags<Scope> {
    match fence.signals {
        Signals::Inside => Scope::from_all(NEWEST),
        Signals::Open => Scope::AbstractUnixSocket.into(),
    }
}

/// What may be read, with the list of name servers when the link to it may be.
pub(crate) fn readable(fence: &Fence) -> Vec<PathBuf> {
    let mut paths = fence.read.clone();
    if paths.iter().any(|path| std::path::Path::new(RESOLVER).starts_with(path)) {
        paths.extend(std::fs::canonicalize(RESOLVER));
    }
    paths
}

fn allow(
    rules: RulesetCreated,
    opened: PathFd,
    file: bool,
    access: landlock::BitFlags<AccessFs>,
) -> Result<RulesetCreated, FenceError> {
    let access = if file { access & AccessFs::from_file(NEWEST) } else { access };
    rules.add_rule(PathBeneath::new(opened, access)).map_err(|error| FenceError::step("Landlock", error))
}

pub(crate) fn unopened(key: &'static str, path: &std::path::Path, error: &impl ToString) -> FenceError {
    FenceError::Path { key, path: path.to_owned(), reason: error.to_string() }
}
