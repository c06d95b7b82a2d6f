"""The composition root: from settings to concrete objects, and from a verb to its result."""
