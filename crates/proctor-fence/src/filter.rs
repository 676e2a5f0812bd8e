//! The system calls that are refused: what Landlock leaves open.

use std::os::fd::OwnedFd;

use libc::c_long;

use crate::observe::calls;
use crate::program::{Answer, Rule, Test, assemble};
use crate::support::{Missing, NO_OBSERVATION, NO_SECCOMP};
use crate::{Fence, FenceError, Mode, sys};

/// Refused whatever the arguments are.
const NEVER: &[(c_long, &str)] = &[
    // Other processes' memory and state.
    (libc::SYS_ptrace, "ptrace"),
    (libc::SYS_process_vm_readv, "process_vm_readv"),
    (libc::SYS_process_vm_writev, "process_vm_writev"),
    (libc::SYS_process_madvise, "process_madvise"),
    (libc::SYS_process_mrelease, "process_mrelease"),
    (libc::SYS_pidfd_getfd, "pidfd_getfd"),
    (libc::SYS_kcmp, "kcmp"),
    (libc::SYS_perf_event_open, "perf_event_open"),
    (libc::SYS_userfaultfd, "userfaultfd"),
    (libc::SYS_bpf, "bpf"),
    // Mounts, and ways to files that go past paths.
    (libc::SYS_mount, "mount"),
    (libc::SYS_umount2, "umount2"),
    (libc::SYS_pivot_root, "pivot_root"),
    (libc::SYS_chroot, "chroot"),
    (libc::SYS_move_mount, "move_mount"),
    (libc::SYS_open_tree, "open_tree"),
    (libc::SYS_fsopen, "fsopen"),
    (libc::SYS_fsconfig, "fsconfig"),
    (libc::SYS_fsmount, "fsmount"),
    (libc::SYS_fspick, "fspick"),
    (libc::SYS_mount_setattr, "mount_setattr"),
    (libc::SYS_setns, "setns"),
    (libc::SYS_open_by_handle_at, "open_by_handle_at"),
    (libc::SYS_fanotify_init, "fanotify_init"),
    (libc::SYS_quotactl, "quotactl"),
    (libc::SYS_quotactl_fd, "quotactl_fd"),
    // Memory and messages that outlive a process and know no folder.
    (libc::SYS_shmget, "shmget"),
    (libc::SYS_shmat, "shmat"),
    (libc::SYS_shmctl, "shmctl"),
    (libc::SYS_semget, "semget"),
    (libc::SYS_semop, "semop"),
    (libc::SYS_semtimedop, "semtimedop"),
    (libc::SYS_semctl, "semctl"),
    (libc::SYS_msgget, "msgget"),
    (libc::SYS_msgsnd, "msgsnd"),
    (libc::SYS_msgrcv, "msgrcv"),
    (libc::SYS_msgctl, "msgctl"),
    (libc::SYS_mq_open, "mq_open"),
    (libc::SYS_mq_unlink, "mq_unlink"),
    (libc::SYS_add_key, "add_key"),
    (libc::SYS_request_key, "request_key"),
    (libc::SYS_keyctl, "keyctl"),
    // The machine.
    (libc::SYS_kexec_load, "kexec_load"),
    (libc::SYS_kexec_file_load, "kexec_file_load"),
    (libc::SYS_init_module, "init_module"),
    (libc::SYS_finit_module, "finit_module"),
    (libc::SYS_delete_module, "delete_module"),
    (libc::SYS_reboot, "reboot"),
    (libc::SYS_swapon, "swapon"),
    (libc::SYS_swapoff, "swapoff"),
    (libc::SYS_acct, "acct"),
    (libc::SYS_syslog, "syslog"),
    (libc::SYS_settimeofday, "settimeofday"),
    (libc::SYS_clock_settime, "clock_settime"),
    (libc::SYS_clock_adjtime, "clock_adjtime"),
    (libc::SYS_adjtimex, "adjtimex"),
    (libc::SYS_sethostname, "sethostname"),
    (libc::SYS_setdomainname, "setdomainname"),
    (libc::SYS_vhangup, "vhangup"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_iopl, "iopl"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_ioperm, "ioperm"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_modify_ldt, "modify_ldt"),
];

/// Allowed only on the calling process itself: the argument that names a process must be 0.
const ONLY_MYSELF: &[(c_long, &str, u8)] = &[
    (libc::SYS_prlimit64, "prlimit64", 0),
    (libc::SYS_sched_setaffinity, "sched_setaffinity", 0),
    (libc::SYS_sched_setscheduler, "sched_setscheduler", 0),
    (libc::SYS_sched_setparam, "sched_setparam", 0),
    (libc::SYS_sched_setattr, "sched_setattr", 0),
    (libc::SYS_migrate_pages, "migrate_pages", 0),
    (libc::SYS_move_pages, "move_pages", 0),
    (libc::SYS_setpriority, "setpriority", 0),
    (libc::SYS_setpriority, "setpriority", 1),
    (libc::SYS_ioprio_set, "ioprio_set", 1),
];

/// The answer is as if the kernel were older: C libraries then take the calls whose arguments a filter can see.
const UNKNOWN: &[c_long] = &[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_clone3];

/// Flags of unshare(2) and clone(2) that make namespaces.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// `IOPRIO_WHO_PROCESS`.
const IOPRIO_PROCESS: u32 = 1;
/// Low bits of a socket's type; the others are flags.
const SOCKET_TYPE: u32 = 0xf;

/// A filter that is installed.
#[derive(Default)]
pub(crate) struct Filter {
    /// By which the parent outside is asked about calls.
    pub(crate) listener: Option<OwnedFd>,
    /// What the kernel did not give.
    pub(crate) missing: Vec<Missing>,
}

/// Installs the filter for this process and everything that it starts.
pub(crate) fn install(fence: &Fence) -> Result<Filter, FenceError> {
    let failed = |error: std::io::Error| FenceError::step("seccomp", error);
    let mut missing = Vec::new();
    if !sys::knows_action(libc::SECCOMP_RET_ERRNO) {
        missing.push(Missing::new("seccomp", "the kernel filters no system calls", NO_SECCOMP));
        return Ok(Filter { listener: None, missing });
    }
    if calls::are_observed(fence) {
        // A kernel without notifications knows no such flag; one filter of a process can have a listener, and a fence around
        // this one may have it.
        match sys::install_filter(&assemble(&rules(fence, true)), true) {
            Ok(listener) => return Ok(Filter { listener, missing }),
            Err(error) => missing.push(Missing::new("observation", error.to_string(), NO_OBSERVATION)),
        }
    }
    sys::install_filter(&assemble(&rules(fence, false)), false).map_err(failed)?;
    Ok(Filter { listener: None, missing })
}

/// All rules of a fence; `observed`: the parent outside is asked, and refuses.
pub(crate) fn rules(fence: &Fence, observed: bool) -> Vec<Rule> {
    let mut rules = Vec::new();
    if observed {
        rules.extend(calls::rules(fence));
    }
    match (fence.mode, observed) {
        (Mode::On, _) => rules.extend(refused(fence, if observed { Answer::Ask } else { Answer::Refuse(libc::EPERM) })),
        // What is allowed comes before what is asked about, and is left as it is.
        (Mode::Warn, true) => {
            let is_kept = |rule: &Rule| matches!(rule.answer, Answer::Ask | Answer::Allow);
            rules.extend(refused(fence, Answer::Ask).into_iter().filter(is_kept));
        }
        _ => {}
    }
    rules
}

/// The name of a call that is refused for what it is.
pub(crate) fn name(call: c_long) -> &'static str {
    let named = NEVER.iter().copied().chain(ONLY_MYSELF.iter().map(|(call, name, _)| (*call, *name)));
    let others = [
        (libc::SYS_unshare, "unshare"),
        (libc::SYS_clone, "clone"),
        (libc::SYS_ioctl, "ioctl on a terminal"),
        (libc::SYS_socket, "socket"),
        (libc::SYS_sendto, "sendto"),
        (libc::SYS_sendmsg, "sendmsg"),
        (libc::SYS_sendmmsg, "sendmmsg"),
    ];
    named.chain(others).find(|(its, _)| *its == call).map_or("a system call", |(_, name)| name)
}

/// Whether flags of clone(2) or unshare(2) ask for namespaces.
pub(crate) fn makes_namespaces(flags: u64) -> bool {
    NAMESPACES.iter().any(|flag| flags & u64::from(flag.unsigned_abs()) != 0)
}

fn refused(fence: &Fence, refuse: Answer) -> Vec<Rule> {
    let mut rules: Vec<Rule> = UNKNOWN.iter().map(|call| Rule::always(*call, Answer::Refuse(libc::ENOSYS))).collect();
    for (call, _, argument) in ONLY_MYSELF {
        rules.push(Rule::when(*call, &[(*argument, Test::IsNot(0))], refuse));
    }
    rules.push(Rule::when(libc::SYS_ioprio_set, &[(0, Test::IsNot(IOPRIO_PROCESS))], refuse));
    let namespaces = NAMESPACES.iter().fold(0, |all, flag| all | flag.unsigned_abs());
    for call in [libc::SYS_unshare, libc::SYS_clone] {
        rules.push(Rule::when(call, &[(0, Test::AnyOf(namespaces))], refuse));
    }
    // A terminal that is shared with the operator: input for his shell, and his console's screen.
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        rules.push(Rule::when(libc::SYS_ioctl, &[(1, Test::Is(u32::try_from(request).unwrap_or_default()))], refuse));
    }
    // A connection that is made by sending is asked by no rule of Landlock.
    let fast_open = libc::MSG_FASTOPEN.unsigned_abs();
    for (call, argument) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        rules.push(Rule::when(call, &[(argument, Test::AnyOf(fast_open))], refuse));
    }
    rules.extend(sockets(fence, refuse));
    rules.extend(NEVER.iter().map(|(call, _)| Rule::always(*call, refuse)));
    rules
}

/// Only local sockets, those that ask about this machine's addresses, and TCP.
fn sockets(fence: &Fence, refuse: Answer) -> Vec<Rule> {
    let rule = |when: &[(u8, Test)], answer: Answer| Rule::when(libc::SYS_socket, when, answer);
    let [unix, netlink, inet, inet6] =
        [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_INET, libc::AF_INET6].map(|family| Test::Is(family.unsigned_abs()));
    let kind = |kind: i32| (1, Test::Masked(SOCKET_TYPE, kind.unsigned_abs()));
    let protocol = |protocol: i32| (2, Test::Is(protocol.unsigned_abs()));
    let mut rules = vec![rule(&[(0, unix)], Answer::Allow), rule(&[(0, netlink), protocol(libc::NETLINK_ROUTE)], Answer::Allow)];
    // Where Landlock does not limit ports, no port is one that needs no limit.
    let no_network = fence.connect.is_empty() && fence.bind.is_empty() && sys::landlock_abi().unwrap_or_default() < 4;
    for family in [inet, inet6] {
        if !no_network {
            // TCP over several paths, which Landlock does not see. Programs fall back when it is not supported.
            rules.push(rule(&[(0, family), protocol(libc::IPPROTO_MPTCP)], Answer::Refuse(libc::EPROTONOSUPPORT)));
            rules.push(rule(&[(0, family), kind(libc::SOCK_STREAM), protocol(0)], Answer::Allow));
            rules.push(rule(&[(0, family), kind(libc::SOCK_STREAM), protocol(libc::IPPROTO_TCP)], Answer::Allow));
        }
        if fence.udp {
            rules.push(rule(&[(0, family), kind(libc::SOCK_DGRAM), protocol(0)], Answer::Allow));
            rules.push(rule(&[(0, family), kind(libc::SOCK_DGRAM), protocol(libc::IPPROTO_UDP)], Answer::Allow));
        }
    }
    rules.push(Rule::always(libc::SYS_socket, refuse));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::tests::asked;

    const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;

    fn answer(fence: &Fence, call: c_long, arguments: &[i32]) -> u32 {
        let arguments: Vec<u32> = arguments.iter().map(|one| *one as u32).collect();
        asked(&rules(fence, false), call, &arguments)
    }

    #[test]
    fn a_process_may_change_its_own_limits_and_nobody_elses() {
        let fence = Fence::default();
        for (call, own, others) in [
            (libc::SYS_prlimit64, [0, 7], [77, 7]),
            (libc::SYS_setpriority, [0, 0], [0, 77]),
            (libc::SYS_setpriority, [0, 0], [libc::PRIO_USER as i32, 0]),
            (libc::SYS_ioprio_set, [1, 0], [1, 77]),
            (libc::SYS_ioprio_set, [1, 0], [3, 0]),
            (libc::SYS_sched_setaffinity, [0, 8], [77, 8]),
        ] {
            assert_eq!(answer(&fence, call, &own), ALLOWED, "{call} {own:?}");
            assert_eq!(answer(&fence, call, &others), REFUSED, "{call} {others:?}");
        }
    }

    #[test]
    fn a_fence_that_only_warns_asks_about_what_it_would_refuse_and_about_nothing_else() {
        let fence = Fence { mode: Mode::Warn, connect: vec![1], ..Fence::default() };
        let socket = |kind: i32| asked(&rules(&fence, true), libc::SYS_socket, &[libc::AF_INET as u32, kind as u32, 0]);
        assert_eq!(socket(libc::SOCK_STREAM), ALLOWED);
        assert_eq!(socket(libc::SOCK_DGRAM), libc::SECCOMP_RET_USER_NOTIF);
    }

    #[test]
    fn sockets_are_local_or_tcp() {
        let (closed, datagrams) = (Fence { connect: vec![1], ..Fence::default() }, Fence { udp: true, ..Fence::default() });
        let stream = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let socket = |fence: &Fence, arguments: [i32; 3]| answer(fence, libc::SYS_socket, &arguments);
        for allowed in [
            [libc::AF_INET, stream, 0],
            [libc::AF_INET6, stream, libc::IPPROTO_TCP],
            [libc::AF_UNIX, libc::SOCK_DGRAM, 0],
            [libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE],
        ] {
            assert_eq!(socket(&closed, allowed), ALLOWED, "{allowed:?}");
        }
        for refused in [
            [libc::AF_INET, libc::SOCK_DGRAM, 0],
            [libc::AF_INET, libc::SOCK_RAW, 1],
            [libc::AF_INET6, libc::SOCK_SEQPACKET, libc::IPPROTO_SCTP],
            [libc::AF_INET, stream, libc::IPPROTO_SCTP],
            [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT],
            [libc::AF_ALG, libc::SOCK_SEQPACKET, 0],
            [libc::AF_VSOCK, stream, 0],
            [libc::AF_PACKET, libc::SOCK_RAW, 0],
        ] {
            assert_eq!(socket(&closed, refused), REFUSED, "{refused:?}");
        }
        assert_eq!(socket(&datagrams, [libc::AF_INET, libc::SOCK_DGRAM, 0]), ALLOWED);
        assert_eq!(socket(&datagrams, [libc::AF_INET, libc::SOCK_RAW, 0]), REFUSED);
    }

    #[test]
    fn processes_are_started_but_not_in_new_namespaces() {
        let fence = Fence::default();
        assert_eq!(answer(&fence, libc::SYS_clone, &[libc::SIGCHLD]), ALLOWED);
        assert_eq!(answer(&fence, libc::SYS_clone, &[libc::SIGCHLD | libc::CLONE_NEWUSER]), REFUSED);
        assert_eq!(answer(&fence, libc::SYS_unshare, &[libc::CLONE_FILES]), ALLOWED);
        assert_eq!(answer(&fence, libc::SYS_unshare, &[libc::CLONE_NEWNET]), REFUSED);
        assert_eq!(answer(&fence, libc::SYS_clone3, &[]), libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
        assert_eq!(answer(&fence, libc::SYS_ptrace, &[0]), REFUSED);
    }
}
