"""What PostgreSQL's write-ahead log is: names, page headers, histories, what is missing. Pure."""
