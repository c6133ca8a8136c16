"""Peak memory of this process from some moment on, as Linux counts it."""

from pathlib import Path

KIB = 1024


def reset_peak() -> int:
    """Resident memory now, in KiB; the peak is counted from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_above(base: int) -> float:
    """The peak since `reset_peak`, above what it returned, in MiB."""
    return round((_status("VmHWM") - base) / KIB, 1)


def _status(name: str) -> int:
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith(f"{name}:"))
