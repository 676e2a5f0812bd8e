import json
import os
import sys

base = sys.argv[1]
lines = [
    {"at": "2026-01-01T00:00:00Z", "kind": "owner", "what": "/nowhere", "pid": 999999, "started": 1},
    {"at": "2026-01-01T00:00:00Z", "kind": "file", "what": "{{canary.file}}"},
    {"at": "2026-01-01T00:00:00Z", "kind": "directory", "what": "{{canary.tmp_folder}}"},
    {"at": "2026-01-01T00:00:00Z", "kind": "process", "what": "cat", "pid": int("{{canary.pid}}"), "started": 1},
]
text = "".join(json.dumps(line) + "\n" for line in lines)
places = [base + "/registry.ndjson", "{{canary.cache}}/runs/forged/registry.ndjson", "{{canary.cache}}/registry/forged.ndjson"]
for place in places:
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "a") as file:
            file.write(text)
        print("wrote", place)
    except OSError as error:
        print(error)
try:
    os.symlink("{{canary.folder}}", base + "/town/folder")
except OSError as error:
    print(error)
