"""Archiving write-ahead log, and handing it out again."""
