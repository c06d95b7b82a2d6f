"""Databases of a PostgreSQL server, by its own dump format."""
