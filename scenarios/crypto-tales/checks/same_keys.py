"""same_keys.py ALICE BOB: the private and public keys are still those with these fingerprints."""

import sys

from letters import fingerprint, private_key, public_key, wrong

for name, before in zip(("alice", "bob"), sys.argv[1:3]):
    if fingerprint(private_key(f"{name}_private.pem").public_key()) != before:
        wrong(f"{name}_private.pem was replaced")
    if fingerprint(public_key(f"{name}_public.pem")) != before:
        wrong(f"{name}_public.pem does not belong to the key that was there")
