# /// script
# requires-python = ">=3.9"
# dependencies = ["cryptography>=42.0"]
# ///
"""Alice: make the keys that are missing, then write Bob a sealed and signed letter."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

LETTER = "Meet me at the old cipher tree at midnight."
KEY_BITS = 2048

SHA256 = hashes.SHA256()
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)


def write_private(path, key):
    """Write a private key that only its owner may read."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


def write_public(path, key):
    """Write the public half of `key`."""
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    path.write_bytes(pem)


def key_pair(name):
    """The private key of `name`: the one that lies here, else a new one. Its public half lies here afterwards."""
    private, public = Path(f"{name}_private.pem"), Path(f"{name}_public.pem")
    if private.exists():
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
        if not public.exists():
            write_public(public, key)
        return key
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    write_private(private, key)
    write_public(public, key)
    return key


def main():
    alice, bob = key_pair("alice"), key_pair("bob")
    sealed = bob.public_key().encrypt(LETTER.encode(), OAEP)
    Path("message.enc").write_bytes(sealed)
    Path("message.sig").write_bytes(alice.sign(sealed, PSS, SHA256))
    print("Alice: the letter is sealed for Bob and signed.")


if __name__ == "__main__":
    main()
