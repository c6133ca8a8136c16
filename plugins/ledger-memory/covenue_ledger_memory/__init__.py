"""A ledger in memory, for tests and notebooks."""
