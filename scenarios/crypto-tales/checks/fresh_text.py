"""Replace the letter by one that nobody can know, sealed for Bob and signed with Alice's key as alice.py signs."""

import secrets
from pathlib import Path

from letters import OAEP, SHA256, fact, private_key, pss, public_key, read, salt_length, wrong

PLACES = ("mill", "ferry", "old quarry", "clock tower", "salt house", "north gate")

salt = salt_length(public_key("alice_public.pem"), read("message.sig"), read("message.enc"))
if salt is None:
    wrong("message.sig is not valid, so that the salt length which alice.py uses is unknown")

text = f"Leave parcel {secrets.token_hex(8)} at the {secrets.choice(PLACES)} before dawn."
sealed = public_key("bob_public.pem").encrypt(text.encode(), OAEP)
Path("message.enc").write_bytes(sealed)
Path("message.sig").write_bytes(private_key("alice_private.pem").sign(sealed, pss(salt), SHA256))
fact("text", text)
