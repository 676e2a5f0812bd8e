import os
import sys

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        os.execve(sys.executable, ["python3", "-c", "import time; time.sleep(600)", "{{canary.mark}}"], {})
    os._exit(0)
os.wait()
