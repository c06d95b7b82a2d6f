"""Measurements beside other programs, on the same data, in turn. Run with ``./run bench``."""
