import os
import sys
import time


def run_folder(run):
    """The folder of the run's reports, by the time of its making."""
    for age in range(240):
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - age))
        folder = "{{canary.reports}}/" + stamp + "-" + run
        if os.path.isdir(folder):
            return folder
    return None


folder = run_folder(sys.argv[1]) or sys.exit("no folder")
for name in ("report.html", "summary.json", "junit.xml", "08-recommendations.md", "evidence/exercise", "lock.json"):
    try:
        os.makedirs(f"{folder}/{name}/in-the-way")
        print("made", name)
    except OSError as error:
        print(error)
try:
    os.symlink(folder, "{{canary.reports}}/latest.new")
except OSError as error:
    print(error)
