import json
import os
import time
import urllib.request

base = os.environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"].split("/agents/")[0]
own = os.environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"].split("/agents/")[1].split("/")
now = int(time.time() * 1e9)


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


attributes = [text("event.name", "api_request"), {"key": "cost_usd", "value": {"doubleValue": 77.0}}, text("model", "m")]
records = [{"timeUnixNano": str(now + number), "severityNumber": 17, "body": {"stringValue": "claude_code.api_request"}, "attributes": attributes} for number in range(3)]
body = {"resourceLogs": [{"resource": {"attributes": [text("service.name", "claude-code")]}, "scopeLogs": [{"logRecords": records}]}]}
for who in ("south%2Fpolecats%2Frust", "south%2Fpolecats%2Fnux", "mayor"):
    for token in ("", "/" + "0" * 32, "/" + own[1] if len(own) > 3 else "/x"):
        request = urllib.request.Request(f"{base}/agents/{who}{token}/v1/logs", json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            print(who, token, urllib.request.urlopen(request, timeout=5).status)
        except OSError as error:
            print(who, token, error)
