import mmap
import os
import signal

try:
    # Nothing is touched, so that the machine loses nothing where no limit holds.
    taken = mmap.mmap(-1, 64 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    print("got through: 64 GiB of memory")
except (OSError, MemoryError) as error:
    print("memory:", error)
children = []
try:
    for _ in range(1500):
        pid = os.fork()
        if pid == 0:
            signal.pause()
        children.append(pid)
    print("got through: 1500 processes")
except OSError as error:
    print("processes:", error)
for pid in children:
    os.kill(pid, signal.SIGKILL)
for pid in children:
    os.waitpid(pid, 0)
