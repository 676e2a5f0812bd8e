//! The steps by which a process goes inside.

use std::os::fd::OwnedFd;

use crate::filter::{self, Filter};
use crate::namespaces::{self, Ids};
use crate::paths::{self, Own};
use crate::support::{self, Missing};
use crate::{Fence, FenceError, Mode, capabilities, limits, sys};

/// A process that is inside.
pub(crate) struct Inside {
    /// What the kernel did not give.
    pub(crate) missing: Vec<Missing>,
    /// What only the namespaces brought.
    pub(crate) own: Own,
    /// By which the parent outside is asked about calls.
    pub(crate) listener: Option<OwnedFd>,
}

/// Why a process is not inside.
pub(crate) enum Refused {
    /// The namespaces that it was started in cannot be furnished: it can be tried without them.
    Namespaces(FenceError),
    /// It cannot be tried otherwise.
    Failed(FenceError),
}

/// Restricts this process and everything that it starts, for ever. `flags` are those of the namespaces that it was started in.
pub(crate) fn enter(fence: &Fence, flags: libc::c_int, ids: Ids) -> Result<Inside, Refused> {
    if fence.mode == Mode::Off {
        return Ok(Inside { missing: Vec::new(), own: Own::default(), listener: None });
    }
    let own = furnished(fence, flags, ids).map_err(Refused::Namespaces)?;
    let Filter { listener, missing } = restrict(fence, &own).map_err(Refused::Failed)?;
    Ok(Inside { missing, own, listener })
}

fn furnished(fence: &Fence, flags: libc::c_int, ids: Ids) -> Result<Own, FenceError> {
    if flags & libc::CLONE_NEWUSER != 0 {
        ids.keep()?;
    }
    match &fence.namespaces {
        Some(wanted) if flags & libc::CLONE_NEWNS != 0 => {
            let own_processes = flags & libc::CLONE_NEWPID != 0;
            namespaces::furnish(fence, wanted, own_processes)
        }
        _ => Ok(Own::default()),
    }
}

fn restrict(fence: &Fence, own: &Own) -> Result<Filter, FenceError> {
    if fence.mode == Mode::On {
        limits::set(&fence.limits)?;
        capabilities::drop_all()?;
        if sys::landlock_abi().is_ok() {
            paths::restrict(fence, own)?;
        } else {
            paths::are_there(fence)?;
        }
    } else {
        // A filter that only observes needs it.
        capabilities::no_new_ones()?;
    }
    let mut filter = filter::install(fence)?;
    if fence.mode == Mode::On {
        filter.missing.extend(support::lacking_of_landlock());
    }
    Ok(filter)
}
