"""When the things that landing consists of really happened: seen from outside, while the runs go on."""

import json
import os
import pathlib
import select
import threading
import time

LOOK_MS = 25


class Moments(threading.Thread):
    """The change of a branch is its file's own time; the end of an agent's process wakes whoever holds its descriptor."""

    def __init__(self, cache, file):
        super().__init__(daemon=True)
        self.runs = pathlib.Path(cache) / "proctor/runs"
        self.file = open(file, "a", buffering=1)
        self.heads, self.read, self.processes = {}, {}, {}
        self.poll = select.poll()
        self.halted = threading.Event()

    def run(self):
        while not self.halted.is_set():
            for descriptor, _ in self.poll.poll(LOOK_MS):
                self.ended(descriptor)
            for base in self.bases():
                self.look_at_heads(base)
                self.look_at_sessions(base)

    def bases(self):
        try:
            return [self.runs / name for name in os.listdir(self.runs)]
        except FileNotFoundError:
            return []

    def write(self, **row):
        self.file.write(json.dumps(row) + "\n")

    def look_at_heads(self, base):
        for head in base.glob("origins/*.git/refs/heads/main"):
            try:
                at = head.stat().st_mtime_ns
            except OSError:
                continue
            if self.heads.get(head) != at:
                self.heads[head] = at
                self.write(run=base.name, what="main", of=head.parts[-4], at=at / 1e9)

    def look_at_sessions(self, base):
        file = base / "sessions.ndjson"
        try:
            text = file.read_bytes()[self.read.get(file, 0):]
        except OSError:
            return
        whole = text[:text.rfind(b"\n") + 1]
        self.read[file] = self.read.get(file, 0) + len(whole)
        for session in map(json.loads, whole.splitlines()):
            try:
                descriptor = os.pidfd_open(session["pid"])
            except OSError:
                continue
            self.processes[descriptor] = (base.name, session["agent"])
            self.poll.register(descriptor, select.POLLIN)

    def ended(self, descriptor):
        run, agent = self.processes.pop(descriptor)
        self.poll.unregister(descriptor)
        os.close(descriptor)
        self.write(run=run, what="end", of=agent, at=time.time())

    def stop(self):
        self.halted.set()
        self.join()
