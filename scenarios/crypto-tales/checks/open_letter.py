"""open_letter.py NAME RECIPIENT SENDER: NAME.enc opens with the recipient's key and NAME.sig is the sender's over it."""

import sys

from letters import OAEP, fact, private_key, public_key, read, salt_length, wrong

name, recipient, sender = sys.argv[1:4]
sealed, signature = read(f"{name}.enc"), read(f"{name}.sig")

salt = salt_length(public_key(f"{sender}_public.pem"), signature, sealed)
if salt is None:
    wrong(f"{name}.sig is not {sender}'s RSA-PSS signature (SHA-256, MGF1-SHA-256) over {name}.enc")
fact("salt", salt)

try:
    text = private_key(f"{recipient}_private.pem").decrypt(sealed, OAEP).decode()
except UnicodeDecodeError:
    wrong(f"{name}.enc does not hold text in UTF-8")
except ValueError as error:
    wrong(f"{name}.enc does not open with {recipient}_private.pem (RSA-OAEP, SHA-256, MGF1-SHA-256, no label): {error}")
if not text.strip():
    wrong(f"{name}.enc holds no text")
fact("text", text)
