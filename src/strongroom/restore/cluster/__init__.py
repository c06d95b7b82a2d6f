"""A data directory of PostgreSQL as the place of a restore."""
