"""Makes a riddle that nobody knew, and states its sum."""
import hashlib
import secrets

text = secrets.token_hex(12)
with open("riddle.txt", "w") as file:
    file.write(text)
print("fact want=" + hashlib.sha256(text.encode()).hexdigest())
