# /// script
# requires-python = ">=3.9"
# dependencies = ["cryptography>=42.0"]
# ///
"""Bob: say what the letter always says."""

print("Meet me at the old cipher tree at midnight.")
