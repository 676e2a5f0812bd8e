//! Starting a process inside: which namespaces are tried, and what the new process does until it is the program.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;

use rustix::process::{Pid, Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::channel::{Channel, Received};
use crate::enter::{self, Inside, Refused};
use crate::namespaces::Ids;
use crate::paths::Own;
use crate::support::{Missing, NO_NAMESPACES, NO_PROCESSES};
use crate::sys::{self, Fork};
use crate::{Command, Fence, FenceError, Mode, Namespaces, Status};

/// What a process inside says to its parent outside.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// It is inside. The descriptor that comes with it, if any, is the listener.
    Inside {
        /// What the kernel did not give.
        missing: Vec<Missing>,
        /// What only its namespaces brought.
        own: Own,
    },
    /// Its namespaces cannot be furnished.
    Unfurnished(String),
    /// It cannot be inside.
    Failed(String),
    /// It is inside, and the program cannot be started.
    NotStarted(String),
    /// The program has ended: said by the first process of a PID namespace, which stays.
    Ended(Status),
}

/// A process that is inside.
pub(crate) struct Started {
    /// Its id.
    pub(crate) pid: u32,
    /// Whether it is the first process of a PID namespace, and the program its child.
    pub(crate) is_init: bool,
    /// By which it speaks.
    pub(crate) channel: Channel,
    /// By which it asks about calls.
    pub(crate) listener: Option<OwnedFd>,
    /// What the kernel did not give.
    pub(crate) missing: Vec<Missing>,
    /// What only its namespaces brought.
    pub(crate) own: Own,
}

/// What a new process does once it is inside; it never comes back.
pub(crate) trait Work {
    /// Does it. `is_init`: this is the first process of a PID namespace.
    fn go(&self, channel: &Channel, is_init: bool) -> !;
}

/// Starts a process inside the fence, with as many of the wanted namespaces as the kernel gives.
pub(crate) fn start(fence: &Fence, work: &dyn Work) -> Result<Started, FenceError> {
    let ids = Ids::mine();
    let mut why = String::new();
    for flags in attempts(fence) {
        match attempt(fence, flags, ids, work) {
            Ok(mut started) => {
                started.missing.extend(lacking(fence, flags, &why));
                return Ok(started);
            }
            Err(Refused::Namespaces(error)) => why = error.to_string(),
            Err(Refused::Failed(error)) => return Err(error),
        }
    }
    Err(FenceError::step("starting a process", why))
}

/// The namespaces to try, as flags of clone(2), the best first. A user namespace gives whoever is not root the others.
fn attempts(fence: &Fence) -> Vec<libc::c_int> {
    let wanted = fence.namespaces.as_ref().filter(|_| fence.mode == Mode::On);
    let mut attempts = Vec::new();
    if let Some(wanted) = wanted {
        let base = libc::CLONE_NEWNS | libc::CLONE_NEWIPC;
        let network = if wanted.network { libc::CLONE_NEWNET } else { 0 };
        let processes = if wanted.processes { libc::CLONE_NEWPID } else { 0 };
        for flags in [base | network | processes, base | network, base] {
            for flags in [flags, flags | libc::CLONE_NEWUSER] {
                if !attempts.contains(&flags) {
                    attempts.push(flags);
                }
            }
        }
    }
    attempts.push(0);
    attempts
}

/// What is missing of the wanted namespaces.
fn lacking(fence: &Fence, flags: libc::c_int, why: &str) -> Vec<Missing> {
    let none = Namespaces::default();
    let wanted = fence.namespaces.as_ref().filter(|_| fence.mode == Mode::On);
    let mut lacking = Vec::new();
    if wanted.is_some() && flags & libc::CLONE_NEWNS == 0 {
        lacking.push(Missing::new("namespaces", why, NO_NAMESPACES));
    }
    if wanted.unwrap_or(&none).processes && flags & libc::CLONE_NEWPID == 0 {
        lacking.push(Missing::new("pid-namespace", why, NO_PROCESSES));
    }
    lacking
}

fn attempt(fence: &Fence, flags: libc::c_int, ids: Ids, work: &dyn Work) -> Result<Started, Refused> {
    let failed = |error: io::Error| Refused::Failed(FenceError::step("starting a process", error));
    let (mine, its) = Channel::pair().map_err(failed)?;
    let is_init = flags & libc::CLONE_NEWPID != 0;
    let pid = match sys::fork_into(flags) {
        Ok(Fork::Parent(pid)) => pid,
        Ok(Fork::Child) => {
            drop(mine);
            go_inside(fence, flags, ids, work, &its)
        }
        Err(error) if flags != 0 => return Err(Refused::Namespaces(FenceError::step("namespaces", error))),
        Err(error) => return Err(failed(error)),
    };
    drop(its);
    let (missing, own, listener) = welcome(&mine).inspect_err(|_| bury(pid))?;
    Ok(Started { pid, is_init, channel: mine, listener, missing, own })
}

/// Collects a child that failed.
fn bury(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    _ = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
}

/// In the child: goes inside, says so, and does its work.
fn go_inside(fence: &Fence, flags: libc::c_int, ids: Ids, work: &dyn Work, channel: &Channel) -> ! {
    // Asked for early and again by whoever starts a program: the parent may end while the fence is being set up.
    let with_parent = set_parent_process_death_signal(Some(Signal::KILL));
    match enter::enter(fence, flags, ids) {
        Ok(Inside { missing, own, listener }) if with_parent.is_ok() => {
            let descriptors: Vec<_> = listener.iter().map(AsFd::as_fd).collect();
            _ = channel.send(&Said::Inside { missing, own }, &descriptors);
            drop(listener);
            work.go(channel, flags & libc::CLONE_NEWPID != 0)
        }
        Ok(_) => _ = channel.send(&Said::Failed("it cannot be made to end with its parent".into()), &[]),
        Err(Refused::Namespaces(error)) => _ = channel.send(&Said::Unfurnished(error.to_string()), &[]),
        Err(Refused::Failed(error)) => _ = channel.send(&Said::Failed(error.to_string()), &[]),
    }
    sys::exit_now(126)
}

/// Waits for the first word of the child.
fn welcome(channel: &Channel) -> Result<(Vec<Missing>, Own, Option<OwnedFd>), Refused> {
    let failed = |reason: &dyn ToString| Refused::Failed(FenceError::step("going inside", reason.to_string()));
    loop {
        let mut sources = [rustix::event::PollFd::new(channel, rustix::event::PollFlags::IN)];
        _ = rustix::event::poll(&mut sources, None);
        match channel.receive::<Said>() {
            Ok(Received::Message((Said::Inside { missing, own }, descriptors))) => {
                return Ok((missing, own, descriptors.into_iter().next()));
            }
            Ok(Received::Message((Said::Unfurnished(why), _))) => {
                return Err(Refused::Namespaces(FenceError::step("namespaces", why)));
            }
            Ok(Received::Message((Said::Failed(why), _))) => return Err(failed(&why)),
            Ok(Received::Message((said, _))) => return Err(failed(&format!("the process inside says {said:?}"))),
            Ok(Received::Nothing) => {}
            Ok(Received::Closed) => return Err(failed(&"the process ended before it was inside")),
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// Becomes a program; comes back only when it cannot.
pub(crate) fn become_program(command: &Command, parent: Option<Pid>) -> io::Error {
    let mut program = std::process::Command::new(&command.program);
    program.args(&command.args).env_clear().envs(&command.env);
    if let Some(cwd) = &command.cwd {
        program.current_dir(cwd);
    }
    sys::default_signals();
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // A parent that ended before that was asked for ends nobody.
    if rustix::process::getppid() != parent {
        sys::exit_now(126);
    }
    program.exec()
}
