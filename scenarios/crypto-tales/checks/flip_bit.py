"""flip_bit.py FILE: turn one bit in the middle of the file."""

import sys
from pathlib import Path

from letters import read, wrong

content = bytearray(read(sys.argv[1]))
if not content:
    wrong(f"{sys.argv[1]} is empty")
content[len(content) // 2] ^= 0x10
Path(sys.argv[1]).write_bytes(content)
