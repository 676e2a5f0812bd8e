"""What a traced run did to files and processes of another town."""

import re

CALLS = ("open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,mknod,"
         "mknodat,truncate,chmod,fchmodat,chown,lchown,fchownat,utime,utimes,utimensat,futimesat,setxattr,removexattr,chdir,connect,"
         "kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal,pidfd_open")
SIGNALS = {"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"}
READS = {"chdir"}
LINE = re.compile(r"^\d+\s+(?:\d+\.\d+\s+)?(\w+)\((.*)$")
WRITES = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)")


def command(file, program):
    # -f follows dolt and the tmux server too: both are children, whatever they become later.
    return ["strace", "-f", "-qq", "--decode-fds=path,pidfd", "--seccomp-bpf", "-s", "4096", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(file), *program]


def read(file, name, pids, port):
    """`name` stands in every path of the other town, whose processes and their groups have the ids `pids`."""
    seen = {"calls": 0, "processes": set(), "signals": 0, "opened for reading": [], "written": [], "signalled": [], "connected": []}
    with open(file, errors="replace") as lines:
        for line in lines:
            seen["processes"].add(line.split(" ", 1)[0])
            match = LINE.match(line)
            if match:
                seen["calls"] += 1
                take(seen, match[1], match[2], line.strip(), (name, pids, port))
    seen["processes"] = len(seen["processes"])
    return seen


def take(seen, call, arguments, line, other):
    name, pids, port = other
    if call in SIGNALS:
        seen["signals"] += 1
        if is_signal(call, arguments, pids):
            seen["signalled"].append(line)
    elif call == "connect" and (f"sin_port=htons({port})" in arguments or name in arguments):
        seen["connected"].append(line)
    elif name in arguments:
        only_read = call in READS or (call in {"open", "openat", "openat2"} and not WRITES.search(arguments))
        seen["opened for reading" if only_read else "written"].append(line)


def is_signal(call, arguments, pids):
    # The descriptor of a process is shown with its id: 5<pid:1234>. Signal 0 only asks whether somebody is there.
    target = re.search(r"<pid:(\d+)>", arguments) if call == "pidfd_send_signal" else re.match(r"(-?\d+)", arguments)
    asks_only = re.match(r"[^,]*(, \d+)?, 0[,)]", arguments)
    if not target or asks_only:
        return False
    number = int(target[1])
    return abs(number) in pids or number == -1
