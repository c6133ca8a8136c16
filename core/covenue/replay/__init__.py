"""Runs a ledger through the rounds again; names the first byte that differs.

Three depths: the transcript (no private data), one venue (its data), all of it (byte-identical).
What this does not prove: that a venue's answers describe its real state.
Source: architecture.md, section 6.
"""

from covenue.replay.venues import replay
from covenue.replay.verdict import Check, Verdict
from covenue.replay.verify import open_ledger, verify

__all__ = ["Check", "Verdict", "open_ledger", "replay", "verify"]
