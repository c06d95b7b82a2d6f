"""Objects of a bucket as a source."""
