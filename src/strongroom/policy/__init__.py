"""What should stay and why: pure decisions, which touch nothing and are given the time."""
