"""PostgreSQL's own programs: where to connect, which to use, and what became of them."""
