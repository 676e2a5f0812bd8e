import os
import select
import socket
import sys
import time
import urllib.parse


def hold(name):
    """Opens connections until none comes any more; returns them."""
    at = urllib.parse.urlsplit(os.environ[name])
    held = []
    for _ in range(400):
        try:
            held.append(socket.create_connection((at.hostname, at.port), timeout=2))
        except OSError:
            break
    return held


def was_closed(held):
    """Waits until the other end has closed one of them."""
    watched = select.poll()
    for one in held:
        watched.register(one, select.POLLIN | select.POLLHUP)
    return bool(watched.poll(30_000))


gateway = hold("ANTHROPIC_BASE_URL")
telemetry = hold("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
print("refused" if was_closed(gateway) else "got through: nobody minds how many are held")
sys.stdout.flush()
os.close(1)  # whoever waits for the answer reads its end
time.sleep(60)
