"""The independent reader, ``recover.py``, run as a person runs it."""
