"""From what a person says about portable archives to concrete objects."""
