"""Covenue: one plan across parties that share no data, proved afterwards bit for bit."""
