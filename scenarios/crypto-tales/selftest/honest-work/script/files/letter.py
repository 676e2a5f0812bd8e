"""What Alice has to say."""

LETTER = "Meet me at the old cipher tree at midnight."
