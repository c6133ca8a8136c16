"""Entries, the RFC 9162 tree, checkpoints, proofs, the AuditLog; knows no backend."""
