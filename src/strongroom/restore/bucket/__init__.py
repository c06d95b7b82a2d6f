"""Objects brought back into a bucket."""
