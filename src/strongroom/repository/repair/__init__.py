"""Finding out what is damaged, and giving what can still be had a sound place again."""
