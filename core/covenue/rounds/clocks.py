"""Clocks that a run may bring: a recorded market's, which jumps, and the system's."""

import time
import uuid
from dataclasses import dataclass

from covenue_contracts.ledger import ClockReading


@dataclass
class RecordedClock:
    """Time as recorded: it stands still until somebody waits, then jumps there.

    A rewind starts a new boot; pace > 0 sleeps so that recorded time runs at that multiple.
    """

    wall: int
    pace: float = 0.0
    boot: int = 1
    elapsed: int = 0

    def read(self) -> ClockReading:
        """The recorded time now; its divergence is unknown to us and stated as nought."""
        return ClockReading(
            wall=str(self.wall),
            monotonic=str(self.elapsed),
            boot=f"recorded-{self.boot}",
            source="recorded",
            divergence="0",
        )

    def wait_until(self, wall: int) -> None:
        """Jump to `wall` (never back), sleeping first when there is a pace."""
        step = max(0, wall - self.wall)
        if self.pace > 0:
            time.sleep(step / 1e9 / self.pace)
        self.elapsed += step
        self.wall += step

    def start_at(self, wall: int) -> None:
        """Continue at `wall`; going back is a new boot, and the ledger says so."""
        if wall >= self.wall:
            self.wait_until(wall)
        else:
            self.wall, self.elapsed, self.boot = wall, 0, self.boot + 1


class SystemClock:
    """The system's clock; the only place in the kernel that reads it."""

    def __init__(self) -> None:
        """Name this boot, so that monotonic times of two runs are never compared."""
        self._boot = f"boot-{uuid.uuid4().hex[:16]}"

    def read(self) -> ClockReading:
        """Wall and monotonic time; the divergence is unknown and stated as a second."""
        return ClockReading(
            wall=str(time.time_ns()),
            monotonic=str(time.monotonic_ns()),
            boot=self._boot,
            source="system",
            divergence="1000000000",
        )

    def wait_until(self, wall: int) -> None:
        """Sleep until the wall clock has reached `wall`."""
        while (left := wall - time.time_ns()) > 0:
            time.sleep(left / 1e9)

    def start_at(self, wall: int) -> None:
        """Wait for `wall`; a time that is past begins at once."""
        self.wait_until(wall)
