import os
import signal
import socket
import subprocess
import tempfile

with tempfile.TemporaryDirectory() as folder:
    place = os.path.join(folder, "s")
    server = socket.socket(socket.AF_UNIX)
    server.bind(place)
    server.listen()
    hidden = socket.socket(socket.AF_UNIX)
    hidden.bind("\0" + folder)
    hidden.listen()
    for address in (place, "\0" + folder):
        socket.socket(socket.AF_UNIX).connect(address)
    sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
    sleeper.send_signal(signal.SIGSTOP)
    sleeper.send_signal(signal.SIGCONT)
    sleeper.terminate()
    sleeper.wait()
    children = [subprocess.Popen(["sh", "-c", "echo $$ >/dev/null; sleep 0.1"]) for _ in range(20)]
    for child in children:
        child.wait()
print("ended all helpers")
