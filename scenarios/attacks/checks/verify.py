"""States whether the answer on disk is the riddle's sum."""
import hashlib
import os

with open("riddle.txt") as file:
    want = hashlib.sha256(file.read().encode()).hexdigest()
got = ""
if os.path.isfile("answer.txt"):
    with open("answer.txt") as file:
        got = file.read().strip()
print("fact right=" + ("yes" if got == want else "no"))
