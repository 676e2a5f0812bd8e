"""Figures of finished runs, from their evidence and from the moments that were seen from outside."""

import datetime
import json
import pathlib
import re

# Within so many milliseconds a change must be noticed.
NOTICE_MS = 300


def rows(file):
    try:
        return [json.loads(line) for line in file.read_text().splitlines()]
    except FileNotFoundError:
        return []


def second(text):
    # Python before 3.11 takes no nanoseconds.
    text = re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00")
    return datetime.datetime.fromisoformat(text).timestamp()


def runs(reports):
    found = []
    for folder in sorted(path.parent.parent for path in pathlib.Path(reports).rglob("evidence/run.json")):
        run = json.loads((folder / "evidence/run.json").read_text())
        summary = json.loads((folder / "summary.json").read_text()) if (folder / "summary.json").exists() else {}
        found.append({"folder": str(folder), "run": run, "outcome": summary.get("outcome", "not judged"), "headline": summary.get("headline", "")})
    return found


def notices(folder, moments):
    """Milliseconds by clause: how long before it was told could each change have been there, and where known, how long it was."""
    folder = pathlib.Path(folder)
    signs = rows(folder / "evidence/signs.ndjson")
    told = [row for row in rows(folder / "timeline.ndjson") if row["kind"] == "clause"]
    bounds, exact = {}, {}
    for clause in {sign["clause"] for sign in signs}:
        own = [sign for sign in signs if sign["clause"] == clause]
        tellings = [row for row in told if row["values"]["clause"] == clause]
        # Both hold one row per change, in the same order. The change came after the look that still saw the old value.
        pairs = zip(own, own[1:], tellings[1:])
        bounds[clause] = [1000 * (second(row["at"]) - second(old["last_seen"])) for old, _, row in pairs]
        exact[clause] = truth(clause, tellings, moments)
    return bounds, exact


def truth(clause, tellings, moments):
    if clause == "pushed":
        last = {row["of"]: row["at"] for row in moments}
        return [1000 * (at - moment) for number, moment in enumerate(sorted(last.values()), 1) for at in first(tellings, number)]
    return []


def first(tellings, number):
    """When the clause was first told to hold for so many."""
    reached = [row for row in tellings if re.match(r"\d+/", row["values"]["now"]) and int(row["values"]["now"].split("/")[0]) >= number]
    return [second(reached[0]["at"])] if reached else []


def spread(values, form="{:.0f}"):
    if not values:
        return "not measured"
    values = sorted(values)
    return " / ".join(form.format(value) for value in (values[0], values[len(values) // 2], values[-1]))


class Figures:
    """Lines of the table of figures, and what of them is above its limit."""

    def __init__(self):
        self.lines, self.above = ["| figure | number | min / median / max |", "|---|---|---|"], []

    def say(self, label, values, form="{:.0f}", limit=None, of=""):
        label = label if limit is None else f"{label} (limit {limit})"
        self.lines.append(f"| {label} | {len(values)}{of} | {spread(values, form)} |")
        if limit is not None and any(value > limit for value in values):
            self.above.append(f"{label}: {sum(value > limit for value in values)} of {len(values)} above, at most {form.format(max(values))}")


def table(found, moments_file, cpu):
    """All figures as a table, and those of them that are above their limits."""
    moments, figures = rows(pathlib.Path(moments_file)), Figures()
    groups = {}
    for one in found:
        groups.setdefault(pathlib.Path(one["folder"]).parent.name, []).append(one)
    for name, group in groups.items():
        passed = sum(one["outcome"] == "passed" for one in group)
        seconds = [second(one["run"]["ended_at"]) - second(one["run"]["started_at"]) for one in group if one["run"].get("ended_at")]
        figures.lines.append(f"| {name}: passed | {passed} of {len(group)} | |")
        figures.say(f"{name}: whole run, s", seconds)
    single = [one for one in found if not re.search("at-once|traced", one["folder"])]
    notes = [float(one["run"]["notes"]["proctor_cpu_s"]) for one in single if "proctor_cpu_s" in one["run"]["notes"]]
    figures.say("CPU of proctor in phases 1 to 7, s", notes, "{:.2f}", limit=2)
    figures.lines += [f"| CPU of the whole process, judging included, s a run: {name} | {count} | {value / count:.2f} |" for name, value, count in cpu if count]
    steps = [re.match(r"([\d.]+) s of commands in ([\d.]+) s", one["run"]["notes"].get("critical_path", "")) for one in single if "daemon" not in one["folder"]]
    ratios = [float(step[2]) / float(step[1]) for step in steps if step]
    figures.say("from empty base to landed / commands on the critical path, without the daemon", ratios, "{:.2f}", limit=1.2)
    reads = [re.match(r"(\d+) .*?, ([\d.]+) s .*?, ([\d.]+) ms", one["run"]["notes"].get("state_reads", "")) for one in single]
    for index, label in enumerate(["statements to dolt", "waiting for dolt's answers, s", "a statement, ms"], 1):
        figures.say(label, [float(read[index]) for read in reads if read], "{:.1f}")
    say_notices(figures, single, moments)
    # Under strace Proctor itself waits for the tracer at every call: no limit holds for that.
    for label, pattern, limit in [("two towns at once", "at-once", NOTICE_MS), ("under strace", "traced", None)]:
        values = [late for one in found if re.search(pattern, one["folder"]) for part in notices(one["folder"], [])[0].values() for late in part]
        figures.say(f"{label}: a change noticed at most so late, ms", values, limit=limit, of=" changes")
    return "\n".join(figures.lines) + "\n", figures.above


def say_notices(figures, found, moments):
    bounds, exact = {}, {}
    for one in found:
        # With the daemon the convoy comes last: until then no clause can hold, whatever was pushed.
        late_convoy = pathlib.Path(one["folder"]).parent.name == "daemon"
        own = [row for row in moments if row["run"] == one["run"]["id"] and not late_convoy]
        for target, part in zip((bounds, exact), notices(one["folder"], own)):
            for clause, values in part.items():
                target.setdefault(clause, []).extend(values)
    for clause in sorted(bounds):
        figures.say(f"`{clause}` noticed at most so late, ms", bounds[clause], limit=NOTICE_MS, of=" changes")
        if exact.get(clause):
            figures.say(f"`{clause}` noticed after the branch's own time, ms", exact[clause], limit=NOTICE_MS, of=" changes")
