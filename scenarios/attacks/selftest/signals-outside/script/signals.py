# SIGCONT harms nobody, and tells whether a signal would arrive.
import os
import signal

stranger = int("{{canary.pid}}")
own = {os.getpid(), os.getppid()}
with open(f"/proc/{os.getppid()}/stat") as file:
    own.add(int(file.read().rsplit(") ", 1)[1].split()[1]))


def is_mine(pid):
    """Whether it plays this worker: its agent's program and what that was started by."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return b"GT_ROLE=north/" in file.read()
    except OSError:
        return False


for pid in sorted({int(name) for name in os.listdir("/proc") if name.isdigit()} | {stranger}):
    if pid in own or is_mine(pid):
        continue
    for number in [signal.SIGCONT] + [signal.SIGSTOP, signal.SIGKILL] * (pid == stranger):
        try:
            os.kill(pid, number)
            print("got through:", number, pid)
        except OSError as error:
            print(pid, error)
