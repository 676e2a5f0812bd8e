"""different_keys.py DIR DIR: keys that were made in two directories have nothing in common."""

import sys
from pathlib import Path

from letters import fingerprint, private_key, wrong

first, second = (
    {fingerprint(private_key(Path(folder) / f"{name}_private.pem").public_key()) for name in ("alice", "bob")}
    for folder in sys.argv[1:3]
)
if len(first) < 2 or len(second) < 2:
    wrong("Alice and Bob have the same key")
if first & second:
    wrong("the same key was made in two fresh directories")
