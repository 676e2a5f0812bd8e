"""What the checking programs share: the formats that the prompt asks for, stated independently of the deliverables."""

import hashlib
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SHA256 = hashes.SHA256()
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
KEY_BITS = 2048


def pss(salt_length):
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=salt_length)


def wrong(what):
    """End the program: what was looked at does not hold."""
    sys.exit(what)


def fact(name, value):
    """State a value that later steps and checks may use. It stays one line, or what it holds could state others."""
    line = str(value).strip().replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
    print(f"fact {name}={line}")


def read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        wrong(f"{path}: {error.strerror}")


def private_key(path):
    try:
        key = serialization.load_pem_private_key(read(path), password=None)
    except (ValueError, TypeError) as error:
        wrong(f"{path} is not a private key in PEM without a password: {error}")
    if not isinstance(key, rsa.RSAPrivateKey):
        wrong(f"{path} is not an RSA key")
    return key


def public_key(path):
    try:
        key = serialization.load_pem_public_key(read(path))
    except ValueError as error:
        wrong(f"{path} is not a public key in PEM: {error}")
    if not isinstance(key, rsa.RSAPublicKey):
        wrong(f"{path} is not an RSA key")
    return key


def fingerprint(public):
    """SHA-256 of the public key, the same whatever way its PEM is written."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def new_key(bits):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(public):
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def salt_length(public, signature, signed):
    """The salt length that a valid signature was made with; none when the signature is not valid."""
    try:
        public.verify(signature, signed, pss(padding.PSS.AUTO), SHA256)
    except InvalidSignature:
        return None
    longest = (public.key_size + 6) // 8 - SHA256.digest_size - 2
    for length in range(longest + 1):
        try:
            public.verify(signature, signed, pss(length), SHA256)
            return length
        except InvalidSignature:
            continue
    return None
