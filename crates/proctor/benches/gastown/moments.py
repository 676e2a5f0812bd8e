"""When the origins' main branches really changed: seen from outside, while the runs go on."""

import json
import os
import pathlib
import threading

LOOK = 0.05


class Moments(threading.Thread):
    """A change is dated by the branch's file itself, so that a late look does not matter."""

    def __init__(self, cache, file):
        super().__init__(daemon=True)
        self.runs = pathlib.Path(cache) / "proctor/runs"
        self.file = open(file, "a", buffering=1)
        self.heads = {}
        self.halted = threading.Event()

    def run(self):
        while not self.halted.is_set():
            for base in self.bases():
                self.look_at_heads(base)
            self.halted.wait(LOOK)

    def bases(self):
        try:
            return [self.runs / name for name in os.listdir(self.runs)]
        except FileNotFoundError:
            return []

    def look_at_heads(self, base):
        for head in base.glob("origins/*.git/refs/heads/main"):
            try:
                at = head.stat().st_mtime_ns
            except OSError:
                continue
            if self.heads.get(head) != at:
                self.heads[head] = at
                self.file.write(json.dumps({"run": base.name, "of": head.parts[-4], "at": at / 1e9}) + "\n")

    def stop(self):
        self.halted.set()
        self.join()
