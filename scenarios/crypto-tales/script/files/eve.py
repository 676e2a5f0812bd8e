# /// script
# requires-python = ">=3.9"
# dependencies = ["cryptography>=42.0"]
# ///
"""Eve: copy what passes on the wire and try to open it, with a key of her own or with one that she was given."""

import argparse
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def key_to_try(path, bits):
    """The key at `path`; without one, a fresh key of Eve's own that fits the ciphertext's length."""
    if path is None:
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return serialization.load_pem_private_key(path.read_bytes(), password=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", type=Path, metavar="FILE", help="private key to try, in PEM")
    arguments = parser.parse_args()

    sealed = Path("message.enc").read_bytes()
    print(f"Eve: {len(sealed)} bytes copied from the wire.")
    key = key_to_try(arguments.key, 8 * len(sealed))
    try:
        letter = key.decrypt(sealed, OAEP).decode()
    except ValueError as error:
        print(f"Eve: {type(error).__name__}: decryption failed, the letter stays closed.")
        return
    print("Eve: this key opens it. The letter says:")
    print(letter)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"Eve: nothing to copy, {error.filename}: {error.strerror}")
