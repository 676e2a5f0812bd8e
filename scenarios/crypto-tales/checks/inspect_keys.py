"""Both pairs are RSA keys of at least 2048 bits in PEM without a password, and their halves belong together."""

from letters import KEY_BITS, fact, fingerprint, private_key, public_key, wrong

for name in ("alice", "bob"):
    private, public = private_key(f"{name}_private.pem"), public_key(f"{name}_public.pem")
    if private.key_size < KEY_BITS:
        wrong(f"{name}_private.pem has {private.key_size} bits, fewer than {KEY_BITS}")
    if fingerprint(private.public_key()) != fingerprint(public):
        wrong(f"{name}_public.pem does not belong to {name}_private.pem")
    fact(name, fingerprint(public))
