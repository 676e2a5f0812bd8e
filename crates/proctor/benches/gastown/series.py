#!/usr/bin/env python3
"""Plays a series of runs in fresh towns of the real Gas Town beside a live one, and prints what it shows.

Needs gt, bd and dolt (in the folder that PROCTOR_GASTOWN_BIN names, or on PATH), tmux, git, strace and Python 3.9. Example:

    cargo build --release --locked
    python3 crates/proctor/benches/gastown/series.py --proctor target/release/proctor
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import figures
import leftovers
import livetown
import trace
from moments import Moments

TICKS = os.sysconf("SC_CLK_TCK")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proctor", default="target/release/proctor", help="the binary under test")
    parser.add_argument("--queue", type=int, default=10, help="clean runs that merge through the queue")
    parser.add_argument("--direct", type=int, default=10, help="clean runs that merge directly")
    parser.add_argument("--pairs", type=int, default=3, help="how often two towns run at once")
    parser.add_argument("--daemon", type=int, default=0, help="clean runs with the town's daemon")
    parser.add_argument("--traced", type=int, default=1, help="runs under strace")
    parser.add_argument("--hogs", type=int, default=2, help="CPU-bound processes beside the runs")
    parser.add_argument("--work", help="folder for towns, cache and reports [default: a new one in the home directory]")
    parser.add_argument("--figures", action="store_true", help="only print the figures of what lies in --work")
    return parser.parse_args()


def programs():
    path = os.pathsep.join(filter(None, [os.environ.get("PROCTOR_GASTOWN_BIN"), os.environ.get("PATH")]))
    found = {name: shutil.which(name, path=path) for name in ["gt", "bd", "dolt", "tmux", "git", "strace"]}
    missing = [name for name, where in found.items() if not where]
    if missing:
        print(f"skipped: {missing[0]} not found; install {', '.join(missing)} or name their folder in PROCTOR_GASTOWN_BIN")
        sys.exit(0)
    return {name: where for name, where in found.items() if name not in {"git", "strace"}}


def manifest(folder):
    """Kind, mode, time and content of everything in a folder, by path."""
    entries = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        state = path.lstat()
        content = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        entries[str(path)] = (state.st_mode, state.st_mtime_ns, content)
    return entries


def play(command, log):
    """The processor seconds of a process itself, read after its end and before it is forgotten."""
    with open(log, "w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        process.wait()
    return (int(fields[11]) + int(fields[12])) / TICKS, process.returncode


class Series:
    def __init__(self, args):
        self.args = args
        self.work = pathlib.Path(args.work or tempfile.mkdtemp(prefix="gastown-series-", dir=pathlib.Path.home())).resolve()
        self.cache, self.reports = self.work / "cache", self.work / "reports"
        self.proctor = str(pathlib.Path(args.proctor).resolve())
        self.failures = []
        os.environ["XDG_CACHE_HOME"] = str(self.cache)
        self.reports.mkdir(parents=True, exist_ok=True)

    def expect(self, holds, text):
        print(f"{'✓' if holds else '✗'} {text}", flush=True)
        self.failures += [] if holds else [text]

    def whole(self):
        live = livetown.LiveTown(self.work, programs())
        live.start()
        hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(self.args.hogs)]
        moments = Moments(self.cache, self.work / "moments.ndjson")
        moments.start()
        try:
            self.beside(live)
        finally:
            moments.stop()
            for hog in hogs:
                hog.kill()
                hog.wait()
            live.stop()
        self.print_figures()
        print(f"\n{len(self.failures)} of the statements do not hold; reports and logs: {self.work}")
        return 1 if self.failures else 0

    def beside(self, live):
        quiet = self.work / "quiet-copy"
        subprocess.run(["cp", "-a", str(live.town), str(quiet)], check=True)
        copied, before, processes = manifest(quiet), leftovers.state(self.cache), live.lasting()
        print(f"live town: port {live.port}, {len(processes)} lasting processes; quiet copy: {len(copied)} entries", flush=True)
        self.traced(live)
        self.pairs()
        self.clean("direct", self.args.direct, ["--merge", "direct"])
        self.clean("queue", self.args.queue, ["--merge", "queue"])
        self.clean("daemon", self.args.daemon, ["--daemon"])
        self.expect(manifest(quiet) == copied, "the quiet copy of the live town is byte-identical, modes and times too")
        now = live.processes()
        self.expect(all(key in now for key in processes), f"the live town's {len(processes)} lasting processes are the same, by id and start")
        self.nothing_is_left(before)

    def nothing_is_left(self, before):
        runs = [one["run"] for one in figures.runs(self.reports)]
        left = leftovers.of_runs(runs, self.cache)
        self.expect(not left, f"nothing of what the {len(runs)} runs named is left {' '.join(left)}")
        for kind, found in leftovers.new(before, leftovers.state(self.cache)).items():
            # Other people use the machine too: what is new is named, so that its owner can be told.
            self.expect(not found, f"new {kind}: {', '.join(map(str, sorted(found))) or 'none'}")

    def command(self, name, *more):
        return [self.proctor, "selftest", "--town", "gastown", "--reports", str(self.reports / name), *more]

    def traced(self, live):
        for number in range(1, self.args.traced + 1):
            file = self.work / f"trace-{number}"
            play(trace.command(file, self.command("traced", "--clean", "1", "--merge", "direct")), self.work / f"traced-{number}.log")
            pids = {pid for pid, _ in live.processes()}
            seen = trace.read(file, live.name, pids, live.port)
            file.unlink()
            kept = {kind: lines for kind, lines in seen.items() if isinstance(lines, list)}
            (self.work / f"trace-{number}.json").write_text(json.dumps(kept, indent=1))
            text = f"of {seen['calls']} calls of {seen['processes']} threads, {seen['signals']} of them signals,"
            for kind in ["written", "signalled", "connected"]:
                self.expect(not seen[kind], f"traced run {number}: {text} {len(seen[kind])} have {kind} to the live town")
            print(f"  opened for reading there: {len(seen['opened for reading'])}")
            self.passed("traced", number)

    def pairs(self):
        for number in range(1, self.args.pairs + 1):
            name = f"at-once-{number}"
            play(self.command(name, "--clean", "2", "--jobs", "2", "--merge", "direct"), self.work / f"{name}.log")
            self.passed(name, 2)

    def clean(self, name, count, more):
        if count:
            cpu, _ = play(self.command(name, "--clean", str(count), *more), self.work / f"{name}.log")
            # With the daemon the process that is called only waits for the one in the namespace.
            if "--daemon" not in more:
                with open(self.work / "cpu.ndjson", "a") as file:
                    file.write(json.dumps([name, cpu, count]) + "\n")
            self.passed(name, count)

    def passed(self, name, count):
        found = figures.runs(self.reports / name)
        passed = sum(one["outcome"] == "passed" for one in found)
        self.expect(passed == count, f"{name}: {passed} of {count} runs passed")
        for one in found:
            if one["outcome"] != "passed":
                print(f"  {one['outcome']}: {one['headline']} ({one['folder']})", flush=True)

    def print_figures(self):
        text, above = figures.table(figures.runs(self.reports), self.work / "moments.ndjson", figures.rows(self.work / "cpu.ndjson"))
        print("\n" + text)
        for figure in above:
            self.expect(False, figure)


def main():
    args = arguments()
    series = Series(args)
    if args.figures:
        series.print_figures()
        return 1 if series.failures else 0
    # Ended from outside, the live town and the processes beside the runs must end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    print(f"{time.strftime('%F %T')}, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {series.proctor}", flush=True)
    return series.whole()


if __name__ == "__main__":
    sys.exit(main())
