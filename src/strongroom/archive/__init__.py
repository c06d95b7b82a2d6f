"""Portable archives: tar files that need no strongroom to open. See ``docs/archive-format.md``."""
