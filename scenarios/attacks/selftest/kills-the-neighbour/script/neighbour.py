import os
import signal
import time

for _ in range(20):
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                told = file.read()
                if b"GT_ROLE=south/polecats/" in told and os.environb[b"GT_TOWN_ROOT"] in told:
                    os.kill(pid, signal.SIGKILL)
                    print("got through:", pid)
        except OSError:
            pass
    time.sleep(0.05)
