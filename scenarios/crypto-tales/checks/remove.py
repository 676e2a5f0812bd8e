"""remove.py PATTERN…: remove the files that match, of which there must be at least one for each pattern."""

import sys
from pathlib import Path

from letters import wrong

for pattern in sys.argv[1:]:
    found = list(Path().glob(pattern))
    if not found:
        wrong(f"nothing matches {pattern}")
    for path in found:
        path.unlink()
