"""make_key.py PRIVATE [PUBLIC]: write a key that nobody has seen before, in the place of any that is there."""

import sys
from pathlib import Path

from letters import fact, fingerprint, new_key, private_pem, public_pem

key = new_key()
Path(sys.argv[1]).write_bytes(private_pem(key))
for public in sys.argv[2:3]:
    Path(public).write_bytes(public_pem(key.public_key()))
fact(Path(sys.argv[1]).stem.removesuffix("_private"), fingerprint(key.public_key()))
