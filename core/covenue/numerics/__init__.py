"""Deterministic arithmetic that the kernel and plugins share."""
