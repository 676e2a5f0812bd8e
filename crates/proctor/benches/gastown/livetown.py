"""A town of somebody else: installed by the real programs, with its own home, port and tmux server, and left running."""

import json
import os
import pathlib
import secrets
import socket
import subprocess
import time

RIG = "harbor"
AGENT = """#!/usr/bin/env python3
import sys
print("❯ ", end="", flush=True)
for _ in sys.stdin:
    print("❯ ", end="", flush=True)
"""
IGNORED = [".beads/", ".claude/", ".runtime/", ".logs/", "__pycache__/", "CLAUDE.md", "CLAUDE.local.md", "state.json"]
ROLES = ["mayor", "deacon", "boot", "dog", "witness", "refinery", "polecat", "crew"]
# gt's own default comes first: a town that was installed without saying a port has it.
PORTS = [3307, *range(3309, 3400)]


class LiveTown:
    def __init__(self, work, programs):
        # Every path below it has this name, so that one text finds them all in a trace.
        self.name = f"livetown{secrets.token_hex(3)}"
        self.base = pathlib.Path(work) / self.name
        self.town = self.base / "town"
        self.port = free_port()
        for folder in ["home/.dolt", "town", "origins", "bin", "rt", "tmp"]:
            (self.base / folder).mkdir(parents=True)
        for name, path in programs.items():
            (self.base / "bin" / name).symlink_to(path)
        self.env = self.environment()

    def environment(self):
        base, home, port = str(self.base), str(self.base / "home"), str(self.port)
        folders = {f"XDG_{kind}_HOME": f"{home}/{kind.lower()}" for kind in ["CONFIG", "STATE", "CACHE", "DATA"]}
        return folders | {
            "PATH": f"{base}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": home, "XDG_RUNTIME_DIR": f"{base}/rt",
            "GT_HOME": home, "GT_TOWN_ROOT": str(self.town), "GT_ROOT": str(self.town), "GT_DOLT_PORT": port,
            "BEADS_DOLT_PORT": port, "BEADS_DOLT_AUTO_START": "0", "TMPDIR": f"{base}/tmp", "GIT_CONFIG_NOSYSTEM": "1",
            "LANG": "C.UTF-8", "TERM": "xterm-256color", "NO_COLOR": "1", "BD_NON_INTERACTIVE": "1",
        }

    def call(self, *command, cwd=None):
        ended = subprocess.run(command, cwd=cwd or self.town, env=self.env, capture_output=True, text=True, timeout=180, umask=0o077)
        if ended.returncode != 0:
            raise SystemExit(f"the live town: `{' '.join(command)}` failed: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def start(self):
        self.write_home()
        self.town.rmdir()
        self.call("gt", "install", str(self.town), "--name", "live", "--dolt-port", str(self.port), cwd=self.base)
        self.write_settings()
        self.call("bd", "config", "set", "status.custom", "staged_ready,staged_warnings")
        origin = self.make_origin()
        self.call("gt", "rig", "add", RIG, f"file://{origin}", "--prefix", "hb")
        self.call("gt", "mayor", "start")
        self.call("gt", "rig", "boot", RIG)
        said = json.loads(self.call("gt", "status", "--json", "--fast"))
        self.socket = pathlib.Path(said["tmux"]["socket_path"])

    def write_home(self):
        home = self.base / "home"
        (home / "gitignore").write_text("\n".join(IGNORED) + "\n")
        (home / ".gitconfig").write_text(
            "[user]\nname = live\nemail = live@example.invalid\n[init]\ndefaultBranch = main\n[safe]\ndirectory = *\n"
            f"[beads]\nrole = maintainer\n[core]\nexcludesFile = {home}/gitignore\n[gc]\nauto = 0\n[maintenance]\nauto = false\n")
        (home / ".dolt/config_global.json").write_text(json.dumps(
            {"metrics.disabled": "true", "versioncheck.disabled": "true", "user.name": "live", "user.email": "live@example.invalid"}))

    def write_settings(self):
        agent = self.base / "bin/livebot"
        agent.write_text(AGENT)
        agent.chmod(0o700)
        bot = {"provider": "bot", "command": str(agent), "args": [], "env": {}, "prompt_mode": "arg", "hooks": {"provider": "scripted"},
               "tmux": {"process_names": ["livebot", "python3"], "ready_prompt_prefix": "❯ ", "ready_delay_ms": 0},
               "instructions": {"file": "AGENTS.md"}}
        settings = {"type": "town-settings", "version": 1, "default_agent": "bot", "role_agents": dict.fromkeys(ROLES, "bot"),
                    "agents": {"bot": bot}, "operational": {}}
        (self.town / "settings").mkdir(exist_ok=True)
        (self.town / "settings/config.json").write_text(json.dumps(settings))

    def make_origin(self):
        origin, seed = self.base / f"origins/{RIG}.git", self.base / "tmp/seed"
        self.call("git", "init", "-q", "--bare", str(origin))
        self.call("git", "init", "-q", str(seed))
        (seed / "README.md").write_text("harbor\n")
        self.call("git", "add", ".", cwd=seed)
        self.call("git", "commit", "-q", "-m", "first", cwd=seed)
        self.call("git", "push", "-q", str(origin), "HEAD:main", cwd=seed)
        return origin

    def processes(self):
        """Id and start of every process of the town, with its command."""
        mark = f"HOME={self.base}/home".encode()
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if mark in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[int(entry), start_of(int(entry))] = command.strip()
            except OSError:
                continue
        return found

    def lasting(self):
        """Without those that come and go by themselves: gt's pollers ask tmux every few seconds."""
        first = self.processes()
        time.sleep(3)
        second = self.processes()
        return {key: first[key] for key in first if key in second}

    def stop(self):
        subprocess.run(["tmux", "-L", self.socket.name, "kill-server"], env=self.env, capture_output=True)
        subprocess.run(["gt", "dolt", "stop"], cwd=self.town, env=self.env, capture_output=True)
        until = time.time() + 20
        while self.processes() and time.time() < until:
            time.sleep(0.5)
        self.socket.unlink(missing_ok=True)
        pathlib.Path(f"/tmp/beads-dolt-circuit-127-0-0-1-{self.port}.json").unlink(missing_ok=True)


def start_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


def free_port():
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise SystemExit("no port for a live town is free: end one of those that listen on 3307 to 3399")
