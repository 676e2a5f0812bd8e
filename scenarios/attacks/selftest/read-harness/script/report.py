# The report folder's name is the time of its making and the run's id: a worker can guess it.
import glob
import os
import sys
import time

for age in range(120):
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - age))
    folder = "{{canary.reports}}/" + stamp + "-" + sys.argv[1]
    try:
        with open(folder + "/evidence/plan.json") as file:
            print("got through:", file.read(20))
    except FileNotFoundError:
        pass
    except OSError as error:
        print(error)
