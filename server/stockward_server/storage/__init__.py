"""PostgreSQL behind the application's ports: rows in, domain objects out, and the committer that writes them."""
