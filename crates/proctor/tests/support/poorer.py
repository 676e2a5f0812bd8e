"""Runs a program on a kernel that has less than this one: `poorer.py LACKS… -- PROGRAM ARGS…`.

LACKS:
  landlock        no Landlock at all
  landlock=N      Landlock of version N
  namespaces      namespaces are refused
  mounts          namespaces are granted, mounts in them are refused
  observation     seccomp without a listener
  seccomp         no seccomp

A filter of its own answers as such a kernel would. It can say a version, and look at what a pointer leads to,
only through a process that it asks. The kernel lets a process be watched by one such: then `observation` is lacking, too.
"""

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import sys

NUMBERS = {
    "x86_64": (0xC000003E, {"clone": 56, "unshare": 272, "mount": 165, "seccomp": 317}),
    "aarch64": (0xC00000B7, {"clone": 220, "unshare": 97, "mount": 40, "seccomp": 277}),
}
ARCH, CALLS = NUMBERS[platform.machine()]
CALLS |= {"clone3": 435, "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}

NEW_NAMESPACES = 0x7E020000
SET_MODE_FILTER, GET_ACTION_AVAIL = 1, 2
NEW_LISTENER = 8
USER_NOTIF, ALLOW = 0x7FC00000, 0x7FFF0000
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
VERSION = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def refuse(number):
    return 0x00050000 | number


def rules(lacks):
    """Each (call, argument or None, bits of it of which one must be set, answer)."""
    found = []
    if "landlock" in lacks:
        found += [(f"landlock_{part}", None, 0, refuse(errno.ENOSYS)) for part in ("create_ruleset", "add_rule", "restrict_self")]
    elif any(lack.startswith("landlock=") for lack in lacks):
        found.append(("landlock_create_ruleset", 2, VERSION, USER_NOTIF))
    if "namespaces" in lacks:
        found += [(call, 0, NEW_NAMESPACES, refuse(errno.EPERM)) for call in ("clone", "unshare")]
        found.append(("clone3", None, 0, refuse(errno.ENOSYS)))
    if "mounts" in lacks:
        found.append(("mount", None, 0, refuse(errno.EACCES)))
    if "seccomp" in lacks:
        found.append(("seccomp", None, 0, refuse(errno.ENOSYS)))
    elif "observation" in lacks:
        found += [("seccomp", 1, NEW_LISTENER, refuse(errno.EINVAL)), ("seccomp", 0, GET_ACTION_AVAIL, USER_NOTIF)]
    return found


def program(rules):
    lines = [(0x20, 0, 0, 4), (0x15, 1, 0, ARCH), (0x06, 0, 0, 0x80000000)]
    for call, argument, bits, answer in rules:
        test = [] if argument is None else [(0x20, 0, 0, 16 + 8 * argument), (0x45, 0, 1, bits)]
        body = test + [(0x06, 0, 0, answer)]
        lines += [(0x20, 0, 0, 0), (0x15, 0, len(body), CALLS[call])] + body
    return b"".join(struct.pack("HBBI", *line) for line in lines + [(0x06, 0, 0, ALLOW)])


def install(rules, listener):
    code = program(rules)
    kept = ctypes.create_string_buffer(code)
    wanted = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept))
    LIBC.prctl(38, 1, 0, 0, 0)
    made = LIBC.syscall(CALLS["seccomp"], SET_MODE_FILTER, NEW_LISTENER if listener else 0, wanted)
    if made < 0:
        sys.exit(f"poorer: {os.strerror(ctypes.get_errno())}")
    return made


def answer(lacks, pid, call, arguments):
    """The value and the error number of a call that was asked about, or None: the kernel does it."""
    if call == CALLS["landlock_create_ruleset"]:
        return next(int(lack[9:]) for lack in lacks if lack.startswith("landlock=")), 0
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(arguments[2])
        action = struct.unpack("I", memory.read(4))[0]
    return (0, errno.EOPNOTSUPP) if action == USER_NOTIF else None


def serve(lacks, listener):
    """Answers what is asked until nobody is left who could ask."""
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    while not waiting.poll()[0][1] & select.POLLHUP:
        asked = bytearray(80)
        try:
            fcntl.ioctl(listener, NOTIF_RECV, asked)
        except OSError:
            # Whoever asked is gone.
            continue
        id, pid, _, call, _, _, *arguments = struct.unpack("QIIiIQ6Q", asked)
        said = answer(lacks, pid, call, arguments)
        value, error = said or (0, 0)
        try:
            fcntl.ioctl(listener, NOTIF_SEND, struct.pack("QqiI", id, value, -error, 0 if said else 1))
        except OSError:
            pass


def main():
    split = sys.argv.index("--")
    lacks, command = sys.argv[1:split], sys.argv[split + 1 :]
    wanted = rules(lacks)
    if any(rule[3] == USER_NOTIF for rule in wanted):
        mine, its = socket.socketpair()
        if os.fork() == 0:
            its.close()
            _, sent, _, _ = mine.recvmsg(1, socket.CMSG_SPACE(4))
            mine.close()
            # Whoever reads the program's output waits for it, not for this process.
            for stream in range(3):
                os.dup2(os.open(os.devnull, os.O_RDWR), stream)
            serve(lacks, array.array("i", sent[0][2])[0])
            os._exit(0)
        mine.close()
        listener = install(wanted, True)
        its.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
        os.close(listener)
    else:
        install(wanted, False)
    os.execvp(command[0], command)


main()
