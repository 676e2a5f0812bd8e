import ctypes
import os
import resource

pid = int("{{canary.pid}}")
libc = ctypes.CDLL(None, use_errno=True)


def read(name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        data = file.read(4096)
    print(data)
    return data


def trace():
    if libc.ptrace(16, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


acts = {
    "environment": lambda: read("environ"),
    "memory": lambda: open(f"/proc/{pid}/mem", "rb").close(),
    "limits": lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (5, 5)),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
    "processors": lambda: os.sched_setaffinity(pid, {0}),
    "trace": trace,
}
for name, act in acts.items():
    try:
        act()
        print("got through:", name)
    except OSError as error:
        print(name, error)
