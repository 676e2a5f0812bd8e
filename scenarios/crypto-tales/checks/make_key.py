"""make_key.py PRIVATE [PUBLIC]: write a key that nobody has seen before, as long as Bob's, in the place of any that is there."""

import sys
from pathlib import Path

from letters import KEY_BITS, fact, fingerprint, new_key, private_pem, public_key, public_pem

bob = Path("bob_public.pem")
key = new_key(public_key(bob).key_size if bob.exists() else KEY_BITS)
Path(sys.argv[1]).write_bytes(private_pem(key))
for public in sys.argv[2:3]:
    Path(public).write_bytes(public_pem(key.public_key()))
fact(Path(sys.argv[1]).stem.removesuffix("_private"), fingerprint(key.public_key()))
