import os
import socket

for name in ("answer.txt", "pipe"):
    if not os.path.exists(name):
        os.mkfifo(name)
if not os.path.exists("left.sock"):
    socket.socket(socket.AF_UNIX).bind("left.sock")
os.makedirs("closed/inner", exist_ok=True)
os.chmod("closed", 0)
os.symlink("/proc/self/root", "root") if not os.path.lexists("root") else None
os.symlink(".", "loop") if not os.path.lexists("loop") else None
print("42")
