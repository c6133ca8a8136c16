"""The clock that a run brings: time as a venue recorded it, jumping from event to event."""

import time
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
