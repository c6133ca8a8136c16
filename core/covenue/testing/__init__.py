"""Conformance suites and simulators for plugin authors."""
