//! Limits of the kernel on what each process may use up.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{FenceError, Limits};

/// Lowers this process's limits. A limit that is lower already stays.
pub(crate) fn set(limits: &Limits) -> Result<(), FenceError> {
    let wanted = [
        (Resource::Data, limits.memory, "memory"),
        (Resource::Nofile, limits.open_files, "open_files"),
        (Resource::Fsize, limits.file_size, "file_size"),
        (Resource::Cpu, limits.cpu_seconds, "cpu_seconds"),
    ];
    for (resource, limit, name) in wanted {
        let Some(limit) = limit else { continue };
        let now = getrlimit(resource);
        let limit = now.maximum.map_or(limit, |most| limit.min(most));
        let lowered = Rlimit { current: Some(now.current.map_or(limit, |soft| soft.min(limit))), maximum: Some(limit) };
        setrlimit(resource, lowered).map_err(|error| FenceError::step(format!("the limit `{name}`"), error))?;
    }
    // No core files: they would be written with the kernel's rights, wherever the operator's pattern says.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| FenceError::step("the limit of core files", error))
}
