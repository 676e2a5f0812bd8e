# /// script
# requires-python = ">=3.9"
# dependencies = ["cryptography>=42.0"]
# ///
"""Eve: give up."""

raise ValueError("decryption failed")
