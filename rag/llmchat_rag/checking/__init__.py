"""What a sentence claims, and whether a passage says it: words, numbers, negation, who did what. Reads no files."""
