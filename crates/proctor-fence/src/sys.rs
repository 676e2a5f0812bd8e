//! System calls that no crate wraps, as safe functions. Everything `unsafe` of this crate lies here, each block with the
//! reason why it is sound.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Which of the two a process is after a fork.
pub(crate) enum Fork {
    /// The new one.
    Child,
    /// The old one, with the id of the new one.
    Parent(u32),
}

fn result(value: libc::c_long) -> io::Result<libc::c_long> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Forks this process, which must have one thread: another thread's locks would stay locked in the child.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: the caller has one thread, so the child is a whole copy of it and may do what it could.
    match unsafe { libc::fork() } {
        ..0 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid.unsigned_abs())),
    }
}

/// Ends this process at once: no destructors, no flushing of what was copied from the parent.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Forks this process into new namespaces; `flags` are the `CLONE_NEW…` of clone(2). It must have one thread, as for [`fork`].
pub(crate) fn fork_into(flags: libc::c_int) -> io::Result<Fork> {
    const NEW: libc::c_int =
        libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNET;
    if flags & NEW == 0 {
        return fork();
    }
    let flags = libc::c_long::from((flags & NEW) | libc::SIGCHLD);
    // SAFETY: without `CLONE_VM` and a stack the call is a fork: the child has a copy of all memory. The caller has one thread.
    match result(unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) })? {
        0 => Ok(Fork::Child),
        pid => u32::try_from(pid).map(Fork::Parent).map_err(io::Error::other),
    }
}

/// Sets and clears attributes of a mount and, if wanted, of all mounts below it.
pub(crate) fn mount_setattr(path: &CStr, recursive: bool, set: u64, clear: u64) -> io::Result<()> {
    // The kernel's `struct mount_attr`: set, clear, propagation, user namespace.
    let attributes: [u64; 4] = [set, clear, 0, 0];
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path ends with 0, the array outlives the call and has the size that is stated.
    let value = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    result(value).map(drop)
}

/// One instruction of a seccomp filter.
pub(crate) type Instruction = libc::sock_filter;

/// Installs a seccomp filter for this process and all that it starts; with `listener`, gives the descriptor by which it is
/// asked about calls.
pub(crate) fn install_filter(program: &[Instruction], listener: bool) -> io::Result<Option<OwnedFd>> {
    let length = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let flags = if listener { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    // SAFETY: the program outlives the call, which copies and only reads it, and its length is stated.
    let value = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    let value = result(value)?;
    if !listener {
        return Ok(None);
    }
    let descriptor = RawFd::try_from(value).map_err(io::Error::other)?;
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// Whether the kernel's seccomp knows an action.
pub(crate) fn knows_action(action: u32) -> bool {
    // SAFETY: the kernel reads one number at the address, which outlives the call.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// The version of Landlock that the kernel speaks; an error when it has none or it is switched off.
pub(crate) fn landlock_abi() -> io::Result<u32> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the call reads no memory.
    let value = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    Ok(u32::try_from(result(value)?).unwrap_or_default())
}

/// Signals that a descriptor tells of.
pub(crate) struct Signals(OwnedFd);

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// Its number.
    pub(crate) signal: i32,
    /// Whether a process sent it: the kernel did otherwise, for a terminal to its whole foreground group.
    pub(crate) by_process: bool,
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: a zeroed set is a valid argument of sigemptyset, which makes it a valid set; numbers that are none are refused.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

impl Signals {
    /// Blocks the signals and tells of them by a descriptor from now on.
    pub(crate) fn of(signals: &[i32]) -> io::Result<Self> {
        let set = set_of(signals);
        // SAFETY: the set is valid and outlives both calls; the descriptor is ours.
        unsafe {
            result(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()).into())?;
            let descriptor = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            result(descriptor.into())?;
            Ok(Self(OwnedFd::from_raw_fd(descriptor)))
        }
    }

    /// The next signal that came, if any.
    pub(crate) fn next(&self) -> Option<Came> {
        // SAFETY: the structure is plain numbers, for which zero is valid; the kernel fills at most its size.
        unsafe {
            let mut came: libc::signalfd_siginfo = std::mem::zeroed();
            let size = size_of_val(&came);
            let read = libc::read(self.0.as_raw_fd(), (&raw mut came).cast(), size);
            let by_process = came.ssi_code <= 0;
            let signal = i32::try_from(came.ssi_signo).unwrap_or_default();
            (usize::try_from(read) == Ok(size)).then_some(Came { signal, by_process })
        }
    }
}

impl std::os::fd::AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets all signals through, with what the system does about them by itself: what a program expects that is started.
pub(crate) fn default_signals() {
    let none = set_of(&[]);
    // SAFETY: the set is valid; a default disposition runs no code of ours.
    unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Undoes what a parent left to this process about signals: lets all of them through, and gives those that are ignored what the system
/// does about them by itself. A program that inherits an ignored SIGCHLD cannot wait for its children. SIGPIPE is left alone:
/// Rust's own start ignores it. Gives whether SIGHUP was ignored, as `nohup` asks for.
pub fn undo_inherited_signals() -> bool {
    let none = set_of(&[]);
    let mut hangup = false;
    for signal in (1..=libc::SIGRTMAX()).filter(|signal| *signal != libc::SIGPIPE) {
        // SAFETY: a zeroed structure is a valid place for what the kernel writes; a default disposition runs no code of ours; a
        // number that is no signal, or one that cannot be set, is refused.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            let known = libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0;
            if known && now.sa_sigaction == libc::SIG_IGN {
                hangup |= signal == libc::SIGHUP;
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
    // SAFETY: the set is valid.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
    hangup
}

/// Takes the variables that are not wanted out of this process's environment. Does nothing in a process with several threads, one of
/// which could be reading it.
pub fn forget_variables(unwanted: impl Fn(&OsStr) -> bool) {
    if crate::run::one_thread().is_err() {
        return;
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| unwanted(name)) {
        // SAFETY: no other thread is there that could read or write the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}

/// Ends this process by a signal, so that its parent sees what this process saw of its child. Returns when the signal ends
/// nobody.
pub fn end_by(signal: i32) {
    let wanted = set_of(&[signal]);
    // SAFETY: a default disposition runs no code of ours; the set is valid.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const wanted, std::ptr::null_mut());
        libc::raise(signal);
    }
}

/// What can be had of namespaces, as a child that tries them says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    /// Number of the error when the namespaces were refused, else 0.
    pub(crate) namespaces: i32,
    /// The same for mounting in them.
    pub(crate) mounts: i32,
}

/// Tries namespaces in a child that ends at once. May be called by a process with threads.
pub(crate) fn try_namespaces(flags: libc::c_int) -> io::Result<Tried> {
    const READ_ONLY: u64 = 1;
    let attributes: [u64; 4] = [READ_ONLY, 0, 0, 0];
    let mut pipe = [0; 2];
    // SAFETY: between fork and `_exit` the child calls only functions that are safe after a fork of a process with threads:
    // plain system calls on memory that exists already. The parent reads into an array of the size that it states.
    unsafe {
        result(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC).into())?;
        let pid = libc::fork();
        if pid == 0 {
            let mut said = [0_i32; 2];
            let failed = |value: libc::c_long| if value < 0 { *libc::__errno_location() } else { 0 };
            said[0] = failed(libc::unshare(flags).into());
            if said[0] == 0 {
                let (root, tmp, kind) = (c"/".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr());
                let private = libc::MS_REC | libc::MS_PRIVATE;
                said[1] = failed(libc::mount(std::ptr::null(), root, std::ptr::null(), private, std::ptr::null()).into());
                if said[1] == 0 {
                    said[1] = failed(libc::mount(kind, tmp, kind, 0, std::ptr::null()).into());
                }
                if said[1] == 0 {
                    let number = libc::SYS_mount_setattr;
                    let (at, size) = (libc::AT_FDCWD, size_of_val(&attributes));
                    said[1] = failed(libc::syscall(number, at, root, libc::AT_RECURSIVE, attributes.as_ptr(), size));
                }
            }
            libc::write(pipe[1], said.as_ptr().cast(), size_of_val(&said));
            libc::_exit(0);
        }
        libc::close(pipe[1]);
        let from = OwnedFd::from_raw_fd(pipe[0]);
        result(pid.into())?;
        let mut said = [0_i32; 2];
        let read = libc::read(from.as_raw_fd(), said.as_mut_ptr().cast(), size_of_val(&said));
        libc::waitpid(pid, std::ptr::null_mut(), 0);
        if usize::try_from(read) != Ok(size_of_val(&said)) {
            return Err(io::Error::other("the child that tried them ended early"));
        }
        Ok(Tried { namespaces: said[0], mounts: said[1] })
    }
}

/// A call that the parent outside is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Names the question.
    pub(crate) id: u64,
    /// The thread that calls.
    pub(crate) pid: u32,
    /// The number of the call.
    pub(crate) call: libc::c_long,
    /// Its arguments.
    pub(crate) arguments: [u64; 6],
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The kernel does the call.
    Continue,
    /// This error number.
    Refuse(i32),
}

/// The next question. Waits for one.
pub(crate) fn next_asked(listener: BorrowedFd<'_>) -> io::Result<Asked> {
    /// A newer kernel may write more than this crate knows of.
    #[repr(C)]
    struct Room {
        notice: libc::seccomp_notif,
        more: [u64; 32],
    }
    // SAFETY: plain numbers, for which zero is valid, and which the kernel wants to be zero; it writes no more than there is
    // room for.
    unsafe {
        let mut room: Room = std::mem::zeroed();
        result(libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut room).into())?;
        let libc::seccomp_notif { id, pid, data, .. } = room.notice;
        Ok(Asked { id, pid, call: data.nr.into(), arguments: data.args })
    }
}

/// Answers a question.
pub(crate) fn reply(listener: BorrowedFd<'_>, id: u64, reply: Reply) -> io::Result<()> {
    let (error, flags) = match reply {
        Reply::Continue => (0, u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or_default()),
        Reply::Refuse(errno) => (-errno, 0),
    };
    let answer = libc::seccomp_notif_resp { id, val: 0, error, flags };
    // SAFETY: the kernel reads the structure, which outlives the call.
    result(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer) }.into()).map(drop)
}

/// Whether the thread still waits for the answer: if so, its id has not become another's, and what was read is its own.
pub(crate) fn still_asks(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one number, which outlives the call.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
}

/// Lets the kernel go over to the answering process and back on the same processor, where it can: it saves most of the time.
pub(crate) fn wake_in_sync(listener: BorrowedFd<'_>) {
    const SYNC_WAKE_UP: u64 = 1;
    // SAFETY: the flag is passed by value. An older kernel refuses, and nothing changes.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
}
