import os
import socket
import sys

town, base, work = sys.argv[1:]
places = [work, os.path.dirname(work), town, base, town + "/.runtime/transcripts", base + "/origins", base + "/origins/north.git/refs/heads", base + "/transcripts", base + "/tmp"]
for place in places:
    for name in ("README.md", "pipe.ndjson", "zz.1.txt"):
        try:
            os.mkfifo(f"{place}/{name}")
            print("made", place, name)
        except OSError as error:
            print(error)
    try:
        socket.socket(socket.AF_UNIX).bind(f"{place}/s.txt")
    except OSError:
        pass
    try:
        os.symlink("/dev/zero", f"{place}/zero.txt")
    except OSError:
        pass
