"""How the code reads: its measures, and the words that it does without."""
