"""A ledger in one SQLite file, durable when acknowledged."""
