"""Replace message.sig by a stranger's valid signature over the same message.enc."""

from pathlib import Path

from letters import SHA256, new_key, pss, public_key, read, salt_length, wrong

sealed = read("message.enc")
alice = public_key("alice_public.pem")
salt = salt_length(alice, read("message.sig"), sealed)
if salt is None:
    wrong("message.sig is not valid, so that a forgery of it would show nothing")
Path("message.sig").write_bytes(new_key(alice.key_size).sign(sealed, pss(salt), SHA256))
