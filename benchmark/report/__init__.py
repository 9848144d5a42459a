"""What a run shows: its table and the words about it."""
