"""Portable archives: made, verified, restored and lost."""
