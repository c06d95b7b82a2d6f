"""PostgreSQL: dumps that come back, on real servers."""
