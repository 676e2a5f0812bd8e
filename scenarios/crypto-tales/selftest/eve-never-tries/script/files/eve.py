# /// script
# requires-python = ">=3.9"
# dependencies = ["cryptography>=42.0"]
# ///
"""Eve: claim to have tried."""

print("ValueError: decryption failed")
