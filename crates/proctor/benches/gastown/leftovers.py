"""What is on the machine, and what runs left of what they made."""

import os
import pathlib
import re

PORTS = range(21000, 32000)
# A folder that gt and bd keep for all towns of a user; what is in it is looked at.
OF_ALL_TOWNS = {"beads-circuit"}


def listening():
    ports = set()
    for table in ["/proc/net/tcp", "/proc/net/tcp6"]:
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def names(folder):
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def marked(cache):
    """Processes that carry a run's mark and a path of this cache."""
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            environ = pathlib.Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if b"PROCTOR_RUN_ID=" in environ and os.fsencode(f"{cache}/proctor/runs/") in environ:
            found.add(int(entry))
    return found


def state(cache):
    temporary = names("/tmp") - OF_ALL_TOWNS
    breakers = {name for name in temporary | {f"beads-circuit/{n}" for n in names("/tmp/beads-circuit")} if "circuit" in name}
    return {
        "processes of runs": marked(cache),
        "listening ports from 21000 to 31999": {port for port in listening() if port in PORTS},
        "tmux sockets": names(f"/tmp/tmux-{os.getuid()}"),
        "circuit breaker files": breakers,
        "entries of /tmp": temporary,
        "run folders in the cache": names(f"{cache}/proctor/runs"),
    }


def new(before, after):
    return {kind: after[kind] - before[kind] for kind in after}


def of_runs(runs, cache):
    """What is left of the names that the runs themselves stated."""
    left = []
    listeners = listening()
    for run in runs:
        facts = {fact[0]: fact[1] for phase in run["phases"] for fact in phase.get("facts", [])}
        port = int(facts.get("dolt", ":0").rsplit(":", 1)[1])
        socket = re.sub(r".* ", "", facts.get("tmux", ""))
        paths = [f"/tmp/tmux-{os.getuid()}/{socket}", f"/tmp/beads-dolt-circuit-127-0-0-1-{port}.json", f"{cache}/proctor/runs/{run['id']}"]
        left += [path for path in paths if socket and os.path.lexists(path)]
        left += [f"port {port} of run {run['id']}"] if port in listeners else []
    return left
