//! The system calls that are refused: what Landlock leaves open.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::sys::{self, Instruction};
use crate::{Fence, FenceError};

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

/// Refused whatever the arguments are.
const NEVER: &[c_long] = &[
    // Other processes' memory and state.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    // Mounts, and ways to files that go past paths.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Memory and messages that outlive a process and know no folder.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Allowed only on the calling process itself: the argument that names a process must be 0.
const ONLY_MYSELF: &[(c_long, u8)] = &[
    (libc::SYS_prlimit64, 0),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_migrate_pages, 0),
    (libc::SYS_move_pages, 0),
    (libc::SYS_setpriority, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
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
const IOPRIO_PROCESS: u64 = 1;
/// Low bits of a socket's type; the others are flags.
const SOCKET_TYPE: u64 = 0xf;
/// The type of socket of old programs that see whole packets.
const SOCK_PACKET: i32 = 10;

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Installs the filters for this process and everything that it starts.
pub(crate) fn install(fence: &Fence) -> Result<(), FenceError> {
    let failed = |error: seccompiler::Error| FenceError::step("seccomp", error);
    let refuse = |rules: Rules, errno: i32| {
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, ARCH);
        filter.and_then(BpfProgram::try_from).map_err(|error| failed(error.into()))
    };
    let unknown: Rules = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    let programs = [
        refuse(refused(fence).map_err(|error| failed(error.into()))?, libc::EPERM)?,
        refuse(unknown, libc::ENOSYS)?,
        refuse(mptcp().map_err(|error| failed(error.into()))?, libc::EPROTONOSUPPORT)?,
    ];
    for program in programs {
        let program: Vec<Instruction> =
            program.iter().map(|one| Instruction { code: one.code, jt: one.jt, jf: one.jf, k: one.k }).collect();
        sys::install_filter(&program, false).map_err(|error| FenceError::step("seccomp", error))?;
    }
    sys::install_filter(&foreign_numbers(), false).map_err(|error| FenceError::step("seccomp", error)).map(drop)
}

type Built<T> = Result<T, seccompiler::BackendError>;

fn refused(fence: &Fence) -> Built<Rules> {
    let mut rules: Rules = NEVER.iter().map(|call| (*call, Vec::new())).collect();
    let mut add = |call: c_long, conditions: Vec<SeccompCondition>| -> Built<()> {
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
        Ok(())
    };
    for (call, argument) in ONLY_MYSELF {
        add(*call, vec![is_not(*argument, 0)?])?;
    }
    add(libc::SYS_ioprio_set, vec![is_not(0, IOPRIO_PROCESS)?])?;
    for flag in NAMESPACES {
        let flag = u64::from(flag.unsigned_abs());
        for call in [libc::SYS_unshare, libc::SYS_clone] {
            add(call, vec![masked(0, flag, flag)?])?;
        }
    }
    // A terminal that is shared with the operator: input for his shell, and his console's screen.
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        add(libc::SYS_ioctl, vec![is(1, request)?])?;
    }
    // A connection that is made by sending is asked by no rule of Landlock.
    let fast_open = u64::from(libc::MSG_FASTOPEN.unsigned_abs());
    for (call, argument) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        add(call, vec![masked(argument, fast_open, fast_open)?])?;
    }
    for conditions in sockets(fence.udp)? {
        add(libc::SYS_socket, conditions)?;
    }
    Ok(rules)
}

/// The sockets that are refused: all but local ones, those that ask about this machine's addresses, and TCP.
fn sockets(udp: bool) -> Built<Vec<Vec<SeccompCondition>>> {
    let [unix, netlink, inet, inet6] = [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_INET, libc::AF_INET6].map(number);
    let [stream, datagram] = [libc::SOCK_STREAM, libc::SOCK_DGRAM].map(number);
    let kinds = [libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, SOCK_PACKET];
    let mut refused = vec![
        vec![is_not(0, unix)?, is_not(0, netlink)?, is_not(0, inet)?, is_not(0, inet6)?],
        vec![is(0, netlink)?, is_not(2, number(libc::NETLINK_ROUTE))?],
    ];
    for family in [inet, inet6] {
        for kind in kinds.map(number).into_iter().filter(|kind| !(udp && *kind == datagram)) {
            refused.push(vec![is(0, family)?, masked(1, SOCKET_TYPE, kind)?]);
        }
        for (kind, protocol) in [(stream, libc::IPPROTO_TCP), (datagram, libc::IPPROTO_UDP)] {
            let is_kind = masked(1, SOCKET_TYPE, kind)?;
            let (multipath, none) = (is_not(2, number(libc::IPPROTO_MPTCP))?, is_not(2, 0)?);
            refused.push(vec![is(0, family)?, is_kind, is_not(2, number(protocol))?, multipath, none]);
        }
    }
    Ok(refused)
}

/// TCP over several paths, which Landlock does not see. Programs fall back to the ordinary one when it is not supported.
fn mptcp() -> Built<Rules> {
    let mut rules = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6].map(number) {
        rules.push(SeccompRule::new(vec![is(0, family)?, is(2, number(libc::IPPROTO_MPTCP))?])?);
    }
    Ok(Rules::from([(libc::SYS_socket, rules)]))
}

fn number(value: i32) -> u64 {
    u64::from(value.unsigned_abs())
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Built<SeccompCondition> {
    // All of these arguments are 32 bits wide: the kernel ignores the upper half of the register.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn is(argument: u8, value: u64) -> Built<SeccompCondition> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: u64) -> Built<SeccompCondition> {
    condition(argument, SeccompCmpOp::Ne, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Built<SeccompCondition> {
    condition(argument, SeccompCmpOp::MaskedEq(mask), value)
}

/// Refuses the numbers of x86-64's other set of calls (x32), which the filters above do not know.
fn foreign_numbers() -> [Instruction; 4] {
    const X32: u32 = 0x4000_0000;
    let code = |code: u32| libc::c_ushort::try_from(code).unwrap_or_default();
    let load = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
    let at_least = code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
    let answer = code(libc::BPF_RET | libc::BPF_K);
    [
        Instruction { code: load, jt: 0, jf: 0, k: 0 },
        Instruction { code: at_least, jt: 0, jf: 1, k: X32 },
        Instruction { code: answer, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs() },
        Instruction { code: answer, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
    ]
}
