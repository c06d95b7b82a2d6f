"""The whole program on real data."""
