import os
import signal
import sys

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print("42", flush=True)
if os.fork() == 0:
    os.setsid()
    signal.pause()
signal.pause()
