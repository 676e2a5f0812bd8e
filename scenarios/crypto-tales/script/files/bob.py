# /// script
# requires-python = ">=3.9"
# dependencies = ["cryptography>=42.0"]
# ///
"""Bob: trust the letter only if Alice signed it, read it, and answer the same way."""

import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

REPLY = "I will be there, and I will bring the lantern."

SHA256 = hashes.SHA256()
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
SIGN = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)
VERIFY = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)


def read_letter(alice, bob):
    """The plaintext of a letter that Alice signed and Bob can open."""
    sealed = Path("message.enc").read_bytes()
    alice.verify(Path("message.sig").read_bytes(), sealed, VERIFY, SHA256)
    return bob.decrypt(sealed, OAEP).decode()


def write_reply(alice, bob):
    """Seal the answer for Alice and sign it."""
    sealed = alice.encrypt(REPLY.encode(), OAEP)
    Path("reply.enc").write_bytes(sealed)
    Path("reply.sig").write_bytes(bob.sign(sealed, SIGN, SHA256))


def main():
    alice = serialization.load_pem_public_key(Path("alice_public.pem").read_bytes())
    bob = serialization.load_pem_private_key(Path("bob_private.pem").read_bytes(), password=None)
    letter = read_letter(alice, bob)
    write_reply(alice, bob)
    print("Bob: the seal is Alice's. The letter says:")
    print(letter)


if __name__ == "__main__":
    try:
        main()
    except InvalidSignature:
        sys.exit("Bob: refused, this letter does not bear Alice's signature")
    except ValueError as error:
        sys.exit(f"Bob: refused, the letter cannot be opened ({type(error).__name__})")
    except OSError as error:
        sys.exit(f"Bob: refused, {error.filename}: {error.strerror}")
