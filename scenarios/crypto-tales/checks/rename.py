"""rename.py FROM TO: give a file another name."""

import sys
from pathlib import Path

from letters import wrong

try:
    Path(sys.argv[1]).rename(sys.argv[2])
except OSError as error:
    wrong(f"{sys.argv[1]}: {error.strerror}")
