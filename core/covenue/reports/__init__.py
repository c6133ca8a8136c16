"""Report machinery; sections plug in from domains.

One folder a report: `report.json` is the artefact, in canonical bytes; `report.html` and one CSV
file a table are made from the same values and carry its SHA-256. Equal inputs give equal bytes.
Source: ledger.md, section 9.
"""

from covenue.reports.folder import write_report

__all__ = ["write_report"]
