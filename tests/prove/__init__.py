"""The long forms of the tests that try to lose data, for as long as one has: ``./run prove``."""
