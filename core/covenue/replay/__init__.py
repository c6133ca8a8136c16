"""Runs a ledger through the rounds again; names the first byte that differs."""
