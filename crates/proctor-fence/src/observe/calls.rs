//! Which calls the parent outside is asked about, and what each would touch.

use libc::c_long;

use crate::program::{Answer, Rule, Test};
use crate::{Fence, Mode};

/// What a call would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Opens the path of argument `path`, relative to the folder of argument `folder`, with the flags of argument `flags`.
    Open { folder: Option<usize>, path: usize, flags: usize },
    /// Opens it with flags in memory.
    OpenHow { folder: usize, path: usize, how: usize },
    /// Executes it.
    Execute { folder: Option<usize>, path: usize },
    /// Changes the entry.
    Change { folder: Option<usize>, path: usize },
    /// Makes the entry; the kernel says so of one that is there already before any fence is asked.
    Make { folder: Option<usize>, path: usize },
    /// Cuts the file.
    Truncate { path: usize },
    /// Changes what is said about the file: mode, owner, times, attributes. No Landlock refuses that.
    Describe { folder: Option<usize>, path: usize },
    /// Changes two entries.
    Move { from: (Option<usize>, usize), to: (Option<usize>, usize) },
    /// Connects to the address in memory.
    Connect,
    /// Binds to it.
    Bind,
    /// Signals whom argument 0 names, with the signal of argument `signal`.
    Signal { whom: Whom, signal: usize },
    /// Starts a process or a thread.
    Fork,
}

/// How a call names whom it signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// By the id of a process or of a thread, or, below zero, by that of a group.
    Id,
    /// By an open handle.
    Handle,
}

/// The flags of an open that changes something.
pub(crate) const WRITES: u32 =
    (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY)).unsigned_abs();

/// Calls of Linux 6.6 and 6.13, which not every architecture's list in `libc` has yet: the same number on every architecture.
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;

/// The calls that are the same everywhere.
const CALLS: &[(c_long, Touch)] = &[
    (libc::SYS_openat, Touch::Open { folder: Some(0), path: 1, flags: 2 }),
    (libc::SYS_openat2, Touch::OpenHow { folder: 0, path: 1, how: 2 }),
    (libc::SYS_execve, Touch::Execute { folder: None, path: 0 }),
    (libc::SYS_execveat, Touch::Execute { folder: Some(0), path: 1 }),
    (libc::SYS_unlinkat, Touch::Change { folder: Some(0), path: 1 }),
    (libc::SYS_renameat, Touch::Move { from: (Some(0), 1), to: (Some(2), 3) }),
    (libc::SYS_renameat2, Touch::Move { from: (Some(0), 1), to: (Some(2), 3) }),
    (libc::SYS_linkat, Touch::Make { folder: Some(2), path: 3 }),
    (libc::SYS_symlinkat, Touch::Make { folder: Some(1), path: 2 }),
    (libc::SYS_mkdirat, Touch::Make { folder: Some(0), path: 1 }),
    (libc::SYS_mknodat, Touch::Make { folder: Some(0), path: 1 }),
    (libc::SYS_truncate, Touch::Truncate { path: 0 }),
    (libc::SYS_fchmodat, Touch::Describe { folder: Some(0), path: 1 }),
    (libc::SYS_fchownat, Touch::Describe { folder: Some(0), path: 1 }),
    (libc::SYS_utimensat, Touch::Describe { folder: Some(0), path: 1 }),
    (libc::SYS_setxattr, Touch::Describe { folder: None, path: 0 }),
    (libc::SYS_lsetxattr, Touch::Describe { folder: None, path: 0 }),
    (FCHMODAT2, Touch::Describe { folder: Some(0), path: 1 }),
    (libc::SYS_removexattr, Touch::Describe { folder: None, path: 0 }),
    (libc::SYS_lremovexattr, Touch::Describe { folder: None, path: 0 }),
    (SETXATTRAT, Touch::Describe { folder: Some(0), path: 1 }),
    (REMOVEXATTRAT, Touch::Describe { folder: Some(0), path: 1 }),
    (libc::SYS_connect, Touch::Connect),
    (libc::SYS_bind, Touch::Bind),
    (libc::SYS_kill, Touch::Signal { whom: Whom::Id, signal: 1 }),
    (libc::SYS_tkill, Touch::Signal { whom: Whom::Id, signal: 1 }),
    (libc::SYS_tgkill, Touch::Signal { whom: Whom::Id, signal: 2 }),
    (libc::SYS_rt_sigqueueinfo, Touch::Signal { whom: Whom::Id, signal: 1 }),
    (libc::SYS_rt_tgsigqueueinfo, Touch::Signal { whom: Whom::Id, signal: 2 }),
    (libc::SYS_pidfd_send_signal, Touch::Signal { whom: Whom::Handle, signal: 1 }),
    (libc::SYS_clone, Touch::Fork),
];

/// The calls of x86-64 that newer architectures left out.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(c_long, Touch)] = &[
    (libc::SYS_open, Touch::Open { folder: None, path: 0, flags: 1 }),
    (libc::SYS_creat, Touch::Change { folder: None, path: 0 }),
    (libc::SYS_unlink, Touch::Change { folder: None, path: 0 }),
    (libc::SYS_rmdir, Touch::Change { folder: None, path: 0 }),
    (libc::SYS_rename, Touch::Move { from: (None, 0), to: (None, 1) }),
    (libc::SYS_link, Touch::Make { folder: None, path: 1 }),
    (libc::SYS_symlink, Touch::Make { folder: None, path: 1 }),
    (libc::SYS_mkdir, Touch::Make { folder: None, path: 0 }),
    (libc::SYS_mknod, Touch::Make { folder: None, path: 0 }),
    (libc::SYS_chmod, Touch::Describe { folder: None, path: 0 }),
    (libc::SYS_chown, Touch::Describe { folder: None, path: 0 }),
    (libc::SYS_lchown, Touch::Describe { folder: None, path: 0 }),
    (libc::SYS_utime, Touch::Describe { folder: None, path: 0 }),
    (libc::SYS_utimes, Touch::Describe { folder: None, path: 0 }),
    (libc::SYS_futimesat, Touch::Describe { folder: Some(0), path: 1 }),
    (libc::SYS_fork, Touch::Fork),
    (libc::SYS_vfork, Touch::Fork),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(c_long, Touch)] = &[];

/// What a call would touch; absent for one that is refused whatever it touches.
pub(crate) fn touch(call: c_long) -> Option<Touch> {
    CALLS.iter().chain(OLD_CALLS).find(|(its, _)| *its == call).map(|(_, touch)| *touch)
}

/// Whether the parent outside is asked about anything.
pub(crate) fn are_observed(fence: &Fence) -> bool {
    fence.mode != Mode::Off && (fence.refusals.is_some() || counts_processes(fence))
}

fn counts_processes(fence: &Fence) -> bool {
    fence.mode == Mode::On && fence.limits.processes.is_some()
}

/// The rules by which it is asked.
pub(crate) fn rules(fence: &Fence) -> Vec<Rule> {
    let wanted = |touch: &Touch| match touch {
        Touch::Fork => counts_processes(fence),
        _ => fence.refusals.is_some(),
    };
    CALLS.iter().chain(OLD_CALLS).filter(|(_, touch)| wanted(touch)).flat_map(|(call, touch)| rules_of(*call, *touch)).collect()
}

/// The signals that end or stop whoever does not expect them.
const ENDING: [i32; 6] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGTERM, libc::SIGSTOP];

fn rules_of(call: c_long, touch: Touch) -> Vec<Rule> {
    match touch {
        // Go sends its own threads thousands of others.
        Touch::Signal { signal, .. } if matches!(call, libc::SYS_tkill | libc::SYS_tgkill) => {
            let at = u8::try_from(signal).unwrap_or_default();
            ENDING.map(|signal| Rule::when(call, &[(at, Test::Is(signal.unsigned_abs()))], Answer::Ask)).to_vec()
        }
        _ => vec![rule(call, touch)],
    }
}

fn rule(call: c_long, touch: Touch) -> Rule {
    match touch {
        // A path that is only named is not opened, and no fence asks about it.
        Touch::Open { flags, .. } => {
            let at = u8::try_from(flags).unwrap_or_default();
            Rule::when(call, &[(at, Test::NoneOf(libc::O_PATH.unsigned_abs()))], Answer::Ask)
        }
        Touch::Fork if call == libc::SYS_clone => {
            Rule::when(call, &[(0, Test::NoneOf(libc::CLONE_THREAD.unsigned_abs()))], Answer::Ask)
        }
        _ => Rule::always(call, Answer::Ask),
    }
}
