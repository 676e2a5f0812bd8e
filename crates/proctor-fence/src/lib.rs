//! The fence: what a program that is judged may read, write, reach, signal and use up.
//!
//! [`Fence`] states it, [`run()`] starts a program inside it and stays outside as its parent, [`support()`] says what this
//! kernel has of it. What each part closes, and on which kernel: `docs/fence.md`.
//!
//! Linux only. [`run()`] forks, so its process must have one thread; it is what the personality `proctor-fence`
//! and `agent-launch` are made of. The harness, which has threads, starts those as programs.

#[cfg(not(target_os = "linux"))]
compile_error!("the fence is made of Linux's Landlock, seccomp and namespaces");

mod capabilities;
mod channel;
mod descendants;
mod enter;
mod filter;
mod keeper;
mod limits;
mod namespaces;
mod observe;
mod paths;
mod process;
mod program;
mod run;
mod spec;
mod start;
mod support;
#[allow(unsafe_code, reason = "the one place for system calls that no crate wraps")]
mod sys;

pub use keeper::{Line, News, Order, keep};
pub use observe::{Refusal, Tried};
pub use process::{Command, Ended, Leftover, Status};
pub use run::{END, run};
pub use spec::{Bind, Fence, FenceError, Limits, Mode, Namespaces, Signals};
pub use support::{Missing, Support, support};
pub use sys::{end_by, forget_variables, undo_inherited_signals};
