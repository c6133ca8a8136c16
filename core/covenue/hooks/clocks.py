"""The injected clock: nobody in the kernel or a plugin reads the time of day."""

from typing import Protocol

from covenue_contracts.ledger import ClockReading


class Clock(Protocol):
    """Tells the time; a recorded clock and the system's look the same."""

    def read(self) -> ClockReading:
        """The reading that the next entry carries; wall and monotonic in nanoseconds."""
        ...
