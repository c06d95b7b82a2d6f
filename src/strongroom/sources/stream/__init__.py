"""A stream of bytes as a source: the output of a command, or standard input."""
