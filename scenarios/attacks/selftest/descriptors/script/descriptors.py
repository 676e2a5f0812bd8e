import os
import socket
import time
import urllib.parse

held = []
for name in ("ANTHROPIC_BASE_URL", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):
    at = urllib.parse.urlsplit(os.environ[name])
    for _ in range(400):
        try:
            held.append(socket.create_connection((at.hostname, at.port), timeout=2))
        except OSError:
            break
time.sleep(60)
