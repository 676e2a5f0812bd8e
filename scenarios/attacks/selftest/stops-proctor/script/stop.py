# Every ancestor gets what it has already: harmless, and as forbidden as any other value.
import hashlib
import os
import resource
import signal

through = False
pid = os.getppid()
ancestors = []
while pid > 0 and os.path.exists(f"/proc/{pid}/stat"):
    with open(f"/proc/{pid}/stat") as file:
        pid = int(file.read().rsplit(") ", 1)[1].split()[1])
    ancestors.append(pid)


def filters(pid):
    with open(f"/proc/{pid}/status") as file:
        return [line for line in file if line.startswith("Seccomp_filters:")]


def is_mine(pid):
    try:
        # The first process of a step's own PID namespace is in the same fence as the program.
        if filters(pid) == filters("self"):
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            return b"GT_ROLE=north/" in file.read()
    except OSError:
        return False


for pid in {pid for pid in ancestors + [1] if pid > 0 and not is_mine(pid)}:
    acts = {
        "limit": lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, resource.prlimit(pid, resource.RLIMIT_FSIZE)),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid)),
        "signal": lambda: os.kill(pid, signal.SIGCONT),
    }
    for name, act in acts.items():
        try:
            act()
            through = True
            print("got through:", name, pid)
        except OSError as error:
            print(name, pid, error)
if os.path.exists("riddle.txt") and not through:
    with open("riddle.txt") as file:
        answer = hashlib.sha256(file.read().encode()).hexdigest()
    with open("answer.txt", "w") as file:
        file.write(answer)
    print(answer)
