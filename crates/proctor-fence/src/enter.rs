//! The steps by which a process goes inside.

use std::path::PathBuf;

use crate::support::Missing;
use crate::{Fence, FenceError, Mode, capabilities, filter, limits, paths, sys};

/// Restricts this process and everything that it starts, for ever. Gives what the kernel did not give.
///
/// # Errors
/// When a listed path cannot be opened, or a step fails that every kernel can do.
pub(crate) fn enter(fence: &Fence) -> Result<Vec<Missing>, FenceError> {
    if fence.mode != Mode::On {
        return Ok(Vec::new());
    }
    let mut missing = Vec::new();
    let own: Vec<PathBuf> = Vec::new();
    limits::set(&fence.limits)?;
    capabilities::drop_all()?;
    if sys::landlock_abi().is_ok() {
        paths::restrict(fence, &own)?;
    }
    if sys::knows_action(libc::SECCOMP_RET_ERRNO) {
        filter::install(fence)?;
    }
    missing.extend(crate::support::without_namespaces());
    Ok(missing)
}
